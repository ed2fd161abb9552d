"""Five hundred damaged files: each is a valid image or one clear error, soon and within the limits.

The seeds are fixed. What is tried: truncation, changed bytes, a header of another format, a huge declared size, and
none at all (zero frames, rows or columns), over PNG, JPEG, TIFF and DICOM, plain and compressed.
"""

from __future__ import annotations

import io
import struct
import time
import tracemalloc

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless
from tests.imaging.dicom_files import dataset

from medanomaly.imaging import ImageError, Preprocessing, decode

MUTATIONS = ("truncate", "flip", "flip header", "wrong header", "huge", "none")
FILES = 500
PIXELS = 1_000_000  # lowered for the test, so that what passes the limit stays cheap to decode


def _dicom(data) -> bytes:
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _healthy() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    colour = cv2.GaussianBlur(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), (0, 0), 2)
    grey = rng.integers(0, 4096, (48, 64), dtype=np.uint16)
    files = {
        "a.png": cv2.imencode(".png", colour)[1].tobytes(),
        "deep.png": cv2.imencode(".png", grey)[1].tobytes(),
        "a.jpg": cv2.imencode(".jpg", colour)[1].tobytes(),
        "progressive.jpg": cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
        "a.tiff": cv2.imencode(".tiff", grey)[1].tobytes(),
        "plain.tiff": cv2.imencode(".tiff", colour, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes(),
        "a.dcm": _dicom(dataset(grey, 12, WindowCenter=2000, WindowWidth=3000, RescaleSlope=1, RescaleIntercept=-9)),
        "clip.dcm": _dicom(dataset(colour[None].repeat(1, 0)[0], 8, "RGB")),
    }
    rle = dataset(grey, 12)
    rle.compress(RLELossless)
    files["rle.dcm"] = _dicom(rle)
    jpeg = dataset(np.ascontiguousarray(colour[:, :, 0]), 8)
    jpeg.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    jpeg.PixelData = encapsulate([cv2.imencode(".jpg", colour[:, :, 0])[1].tobytes()])
    files["jpeg.dcm"] = _dicom(jpeg)
    return files


def _sized(name: str, data: bytearray, rng: np.random.Generator, huge: bool) -> bytearray:
    """Put another declared size, or number of frames, where the format keeps it."""
    size = int(rng.integers(5_000, 65_536)) if huge else 0
    if name.endswith(".png"):
        data[16:24] = struct.pack(">II", size, size)
    elif name.endswith(".jpg"):
        place = max(bytes(data).find(b"\xff\xc0"), bytes(data).find(b"\xff\xc2"))
        data[place + 5 : place + 9] = struct.pack(">HH", size, size)
    elif name.endswith(".tiff"):
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from("<HH", data, entry)
            if tag in (256, 257):
                struct.pack_into("<I" if kind == 4 else "<H", data, entry + 8, size)
    else:
        for element in (0x0010, 0x0011):  # rows, columns
            place = bytes(data).find(struct.pack("<HH2s", 0x0028, element, b"US"))
            struct.pack_into("<H", data, place + 8, size)
        if rng.random() < 0.5:
            place = bytes(data).find(struct.pack("<HH2s", 0x0028, 0x0004, b"CS"))
            frames = b"99999999" if huge else b"0 "
            data[place:place] = struct.pack("<HH2sH", 0x0028, 0x0008, b"IS", len(frames)) + frames
    return data


def _mutate(name: str, healthy: bytes, how: str, rng: np.random.Generator) -> bytes:
    data = bytearray(healthy)
    if how == "truncate":
        return bytes(data[: int(rng.integers(len(data)))])
    if how.startswith("flip"):
        start, end = (128, 900) if name.endswith(".dcm") else (0, 200)
        end = min(end, len(data)) if how == "flip header" else len(data)
        for place in rng.integers(start if how == "flip header" else 0, end, int(rng.integers(1, 20))):
            data[place] ^= 1 << int(rng.integers(8))
        return bytes(data)
    if how == "wrong header":
        heads = (
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
            b"II*\0\x08\0\0\0",
            b"MM\0+",
            b"BM",
            b"P5\n9 9\n255\n",
            b"P2 9 9 9 ",
        )
        head = heads[int(rng.integers(len(heads)))]
        data[: len(head)] = head
        if rng.random() < 0.5:
            data[128:132] = b"DICM"
        return bytes(data)
    return bytes(_sized(name, data, rng, how == "huge"))


@pytest.fixture
def limit(monkeypatch):
    for module in ("raster", "dicom_declared"):
        monkeypatch.setattr(f"medanomaly.imaging.{module}.MAX_PIXELS", PIXELS)
    return PIXELS


def test_healthy_files_are_read(tmp_path):
    for name, data in _healthy().items():
        (tmp_path / name).write_bytes(data)
        assert decode(tmp_path / name).shape == (48, 64, 3)


def _read(path, reading: Preprocessing) -> tuple[np.ndarray, np.ndarray, str]:
    try:
        return decode(path), reading.load(path), ""
    except ImageError as error:
        return np.empty(0), np.empty(0), str(error)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_five_hundred_damaged_files(tmp_path, limit):
    healthy = _healthy()
    names = list(healthy)
    outcomes: dict[str, list[int]] = {how: [0, 0] for how in MUTATIONS}
    reading = Preprocessing((16, 16), "minmax")
    tracemalloc.start()
    for seed in range(FILES):
        rng = np.random.default_rng(seed)
        name, how = names[seed % len(names)], MUTATIONS[seed // len(names) % len(MUTATIONS)]
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(_mutate(name, healthy[name], how, rng))
        began = time.perf_counter()
        image, small, error = _read(path, reading)
        if error:
            assert path.name in error, f"{path.name} ({how}): the error does not name it: {error}"
            outcomes[how][1] += 1
        else:
            assert image.ndim == 3, path.name
            assert image.shape[2] == 3, path.name
            assert 0 < image.shape[0] * image.shape[1] <= limit, path.name
            assert np.isfinite(image).all(), path.name
            assert small.shape == (16, 16, 3), path.name
            assert 0 <= small.min() <= small.max() <= 1, path.name
            outcomes[how][0] += 1
        assert time.perf_counter() - began < 5, f"{path.name} ({how}) took too long"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * PIXELS  # far below what the huge files declare
    assert sum(map(sum, outcomes.values())) == FILES
    # A fuzz test that damages nothing, or everything, tests little.
    assert outcomes["huge"][0] == outcomes["none"][0] == 0, outcomes
    assert outcomes["truncate"][1] > 0.9 * sum(outcomes["truncate"]), outcomes
    assert outcomes["flip"][0] > 5, outcomes
