"""Whole videos of which fewer frames are shown than OpenCV counts, and broken ones: what the container says decides."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from medanomaly.edge import Failure, video
from medanomaly.edge.video_container import held

FRAMES = 50
CODECS = {"mp4": "mp4v", "mov": "mp4v", "mkv": "mp4v", "avi": "MJPG", "wmv": "WMV2", "webm": "VP80"}


def draw(path: Path, codec: str, frames: int = FRAMES) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"OpenCV has no encoder for {path.suffix} here")
    rng = np.random.default_rng(0)
    for number in range(frames):
        writer.write(rng.integers(0, 80, (48, 64, 3), dtype=np.uint8) + np.uint8(3 * number))
    writer.release()
    return path


@pytest.fixture(params=CODECS)
def whole(request, tmp_path) -> Path:
    return draw(tmp_path / f"whole.{request.param}", CODECS[request.param])


def scored(path: Path) -> tuple[int, list[str]]:
    found = list(video.frames(str(path)))
    return sum(not isinstance(frame, Failure) for frame in found), [f.error for f in found if isinstance(f, Failure)]


def opencv_counts(path: Path) -> float:
    return cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)


def test_a_whole_video_has_no_failure(whole):
    assert scored(whole) == (FRAMES, [])
    assert held(whole) in ((False, FRAMES), (False, None))


@pytest.mark.parametrize("share", [0.4, 0.7, 0.9])
def test_a_file_that_ends_early_is_a_failure(whole, share):
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * share)])
    frames, errors = scored(whole)
    assert frames < FRAMES
    assert len(errors) == 1
    assert "breaks off here" in errors[0] or "cannot be opened" in errors[0]


def patched(path: Path, mark: bytes, offset: int, new: bytes) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(mark) + offset
    content[place : place + len(new)] = new
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["mp4", "mov"])
@pytest.mark.parametrize("skipped", [17, 33, 45])
def test_a_video_cut_by_an_edit_list_is_whole(tmp_path, kind, skipped):
    """As ``ffmpeg -ss 1.3 -i long.mp4 -c copy cut.mp4`` writes it: samples that are decoded but not shown."""
    path = draw(tmp_path / f"cut.{kind}", "mp4v")
    patched(path, b"elst", 12, struct.pack(">Ii", 2000 - skipped * 40, skipped * 512))
    assert opencv_counts(path) == FRAMES
    assert scored(path) == (FRAMES - skipped, [])
    assert held(path) == (False, FRAMES - skipped)


def blocks(content: bytes) -> list[int]:
    """Places of the time stamps of the simple blocks of track 1, which are read in order."""
    places, place = [], content.index(b"\x1f\x43\xb6\x75")
    while (place := content.find(b"\xa3", place)) >= 0:
        size = content[place + 1]
        start = place + (2 if size & 0x80 else 3 if size & 0x40 else 4 if size & 0x20 else 5)
        if content[start] == 0x81:
            places.append(start + 1)
        place += 1
    return places


def test_a_video_of_variable_rate_is_whole(tmp_path):
    """Seven frames in the time of ten, as a capsule records: OpenCV counts length times rate."""
    path = draw(tmp_path / "capsule.mkv", "mp4v", 7)
    content = bytearray(path.read_bytes())
    stamps = [place for place in blocks(content) if struct.unpack_from(">h", content, place)[0] in range(0, 280, 40)]
    assert len(stamps) == 7
    for place, time in zip(stamps, (0, 40, 160, 240, 400, 440, 760), strict=True):
        struct.pack_into(">h", content, place, time)
    duration = content.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", content, duration, 800.0)
    path.write_bytes(content)
    assert opencv_counts(path) > 10
    assert scored(path) == (7, [])
    assert held(path) == (False, 7)


def test_frames_lost_to_damage_are_a_failure(tmp_path):
    """The container is whole and lists its frames; half of them are zeros."""
    path = draw(tmp_path / "damaged.avi", "MJPG")
    content = bytearray(path.read_bytes())
    place = content.index(b"movi")
    for number in range(1, 36):
        place = content.index(b"00dc", place + 1)
        (length,) = struct.unpack_from("<I", content, place + 4)
        if number > 10:
            content[place + 8 : place + 8 + length] = bytes(length)
    path.write_bytes(content)
    frames, errors = scored(path)
    assert frames < FRAMES - 4
    assert len(errors) == 1
    assert f"of {FRAMES} frames that its file lists" in errors[0]


@pytest.mark.parametrize("kind", CODECS)
def test_damaged_containers_are_told_or_passed_over(tmp_path, kind):
    whole = draw(tmp_path / f"whole.{kind}", CODECS[kind], 8).read_bytes()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 12):
            content[place] = int(rng.integers(256))
        path = tmp_path / f"damaged.{kind}"
        path.write_bytes(content)
        cut, frames = held(path)
        assert isinstance(cut, bool)
        assert frames is None or frames >= 0


def test_what_is_no_video_says_nothing(tmp_path):
    for content in (b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"text" * 100):
        (tmp_path / "a").write_bytes(content)
        assert not held(tmp_path / "a").frames
    assert held(tmp_path / "missing") == (False, None)
