"""Parse a video's container: whether its file ends early, and how many frames it lists.

OpenCV's count of frames is length times rate where the container keeps no count, and the count of samples where an edit
list shows a part of them: a video of variable rate, or cut without encoding anew, is whole with fewer. What is read
here: MP4 and MOV (ISO/IEC 14496-12), Matroska and WebM (RFC 9559), AVI, and of WMV (ASF) its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

#: An index larger than this is not read: eight hours of video need a tenth.
_LARGEST_INDEX = 64 << 20
#: Nor more elements than this, of a damaged file.
_MOST_ELEMENTS = 5_000_000
_SEGMENT, _CLUSTER, _TRACKS, _TRACK = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_NUMBER, _TYPE, _CODEC, _GROUP, _BLOCK, _SIMPLE_BLOCK = 0xD7, 0x83, 0x86, 0xA0, 0xA1, 0xA3
_INVISIBLE = 0x08
#: Blocks of these may hold frames that are never shown.
_HIDDEN_FRAMES = (b"V_VP8", b"V_VP9", b"V_AV1")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


class Held(NamedTuple):
    """What a container says.

    Args:
        cut: Whether the file ends before what it declares.
        frames: How many frames it lists to be shown; None where that is not told.
    """

    cut: bool
    frames: int | None


def held(path: str | Path) -> Held:
    """Look into a video's container; ``Held(False, None)`` for one that is not known or whose index is damaged."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
            size = file.seek(0, 2)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
                return _mp4(file, size)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _matroska(file, size)
            if head[:4] == b"RIFF":
                return _avi(file, size)
            if head == _ASF:
                return _asf(file, size)
    except (OSError, struct.error, IndexError, ValueError):
        pass
    return Held(False, None)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the content and end of each box of an MP4 within its parent's content."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        size = size or end - start
        if size < head or start + size > end:
            return
        yield kind, start + head, start + size
        start += size


def _mp4(file: BinaryIO, size: int) -> Held:
    place, movie, cut = 0, b"", False
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            head = 16
        length = length or size - place
        if length < head:
            break
        cut = cut or place + length > size
        if kind == b"moov" and length <= _LARGEST_INDEX:
            movie = file.read(length - head)
        place += length
    return Held(cut, _mp4_frames(movie) if movie else None)


def _child(data: bytes, parent: tuple[int, int], *kinds: bytes) -> tuple[int, int] | None:
    for kind in kinds:
        found = next(((start, end) for name, start, end in _boxes(data, *parent) if name == kind), None)
        if found is None:
            return None
        parent = found
    return parent


def _mp4_frames(movie: bytes) -> int | None:
    whole = (0, len(movie))
    for kind, *track in _boxes(movie, *whole):
        if kind != b"trak":
            continue
        place = (track[0], track[1])
        handler = _child(movie, place, b"mdia", b"hdlr")
        if handler and movie[handler[0] + 8 : handler[0] + 12] == b"vide":
            shown = _shown(movie, place, _time_scale(movie, _child(movie, whole, b"mvhd")))
            return shown or None  # a fragmented file lists its samples elsewhere
    return None


def _time_scale(movie: bytes, place: tuple[int, int] | None) -> int:
    if place is None:
        return 0
    return int(struct.unpack_from(">I", movie, place[0] + (20 if movie[place[0]] == 1 else 12))[0])


def _runs(movie: bytes, place: tuple[int, int] | None) -> np.ndarray:
    """Counts and values of a table of runs (stts, ctts), one value a sample."""
    if place is None:
        return np.zeros(0, np.int64)
    (count,) = struct.unpack_from(">I", movie, place[0] + 4)
    pairs = np.frombuffer(movie[place[0] + 8 : place[1]], ">i4")[: 2 * count].reshape(-1, 2).astype(np.int64)
    if pairs.size and (pairs[:, 0].min() < 0 or pairs[:, 0].sum() > 1 << 28):
        raise ValueError("a damaged table of samples")
    return np.repeat(pairs[:, 1], pairs[:, 0])


def _shown(movie: bytes, track: tuple[int, int], movie_scale: int) -> int:
    """Samples whose time of presentation lies within the track's edits."""
    table = _child(movie, track, b"mdia", b"minf", b"stbl")
    if table is None:
        return 0
    steps = _runs(movie, _child(movie, table, b"stts"))
    times = np.cumsum(steps) - steps
    offsets = _runs(movie, _child(movie, table, b"ctts"))
    times[: len(offsets)] += offsets[: len(times)]
    edits = _child(movie, track, b"edts", b"elst")
    media_scale = _time_scale(movie, _child(movie, track, b"mdia", b"mdhd"))
    if edits is None or not movie_scale:
        return len(times)
    long = movie[edits[0]] == 1
    (count,) = struct.unpack_from(">I", movie, edits[0] + 4)
    shown = 0
    for number in range(count):
        layout, width = (">Qq", 20) if long else (">Ii", 12)
        length, start = struct.unpack_from(layout, movie, edits[0] + 8 + number * width)
        if start >= 0:  # -1: nothing is shown, for a delay
            end = start + length * media_scale / movie_scale if length else np.inf
            shown += int(np.count_nonzero((times >= start) & (times < end)))
    return shown


def _vint(file: BinaryIO, marker: bool) -> int | None:
    """A number of Matroska, of an identifier with its marker; None for the unknown length, or at the end."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    if marker:
        return value
    value &= (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else value


def _matroska(file: BinaryIO, size: int) -> Held:
    file.seek(0)
    cut, frames, video, hidden = False, 0, None, False
    track: dict[int, bytes] = {}
    for _ in range(_MOST_ELEMENTS):
        kind, length = _vint(file, True), _vint(file, False)
        if kind is None:
            break
        end = file.tell() + length if length is not None else None
        cut = cut or (end is not None and end > size)
        if kind in (_SEGMENT, _CLUSTER, _TRACKS, _GROUP, _TRACK):
            track = {} if kind == _TRACK else track
            continue  # what is within comes next
        if kind in (_NUMBER, _TYPE, _CODEC) and length is not None:
            track[kind] = file.read(min(length, 64))
            if len(track) == 3 and video is None and track[_TYPE] == b"\x01":
                video, hidden = int.from_bytes(track[_NUMBER], "big"), track[_CODEC].startswith(_HIDDEN_FRAMES)
        elif kind in (_BLOCK, _SIMPLE_BLOCK) and not cut:
            frames += _vint(file, False) == video and not file.read(3)[2] & _INVISIBLE
        if end is None:
            break
        file.seek(end)
    return Held(cut, None if hidden or video is None else frames)


def _avi(file: BinaryIO, size: int) -> Held:
    place, frames, cut = 0, 0, False
    for _ in range(_MOST_ELEMENTS):
        if place + 8 > size:
            break
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        listed = kind in (b"RIFF", b"LIST")
        if kind == b"RIFF" or (listed and file.read(4) == b"movi"):
            cut = cut or place + 8 + length > size
        frames += kind[2:] in (b"dc", b"db") and length > 0
        place += 12 if listed else 8 + length + length % 2
    return Held(cut, frames or None)


def _asf(file: BinaryIO, size: int) -> Held:
    file.seek(0)
    place, head = 30, file.read(65536)
    while place + 48 <= len(head):
        (length,) = struct.unpack_from("<Q", head, place + 16)
        if head[place : place + 16] == _ASF_FILE:
            declared, live = struct.unpack_from("<Q", head, place + 40)[0], head[place + 88] & 1
            return Held(not live and declared > size, None)
        place += max(length, 24)
    return Held(False, None)
