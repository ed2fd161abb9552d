"""Damaged TIFF and PNM of every kind: each is a valid image or one clear error, soon and within the limits.

The seeds are fixed. What is tried: truncation, changed bytes, changed directories, a huge declared size or number of
strips, and none at all, over strips and tiles, samples together and apart, LZW, deflate, PackBits, JPEG, RGBA, BigTIFF,
stacks, palettes and packed bits; and over PBM, PGM and PPM as text and as bytes.
"""

from __future__ import annotations

import io
import re
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.imaging.test_pnm import pnm
from tests.imaging.tiff_files import ALPHA, AS, COLOUR, GREY

from medanomaly.imaging import ImageError, Preprocessing, decode, decode_mask, frames

MUTATIONS = ("truncate", "flip", "flip directory", "entry", "huge", "none")
FILES = 600
PIXELS = 1_000_000  # lowered for the test, so that what passes the limit stays cheap to decode


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def healthy() -> dict[str, bytes]:
    apart = COLOUR.transpose(2, 0, 1).copy()
    rgba = np.dstack([COLOUR, ALPHA])
    palette = io.BytesIO()
    Image.fromarray(COLOUR).quantize(16).save(palette, "TIFF")
    rgb = {"photometric": "rgb"}
    return {
        "apart.tif": tiff(AS["uint16"](apart), planarconfig="separate", **rgb),
        "apart-lzw.tif": tiff(apart, planarconfig="separate", compression="lzw", rowsperstrip=8, **rgb),
        "lzw.tif": tiff(
            AS["uint16"](GREY), compression="lzw", predictor=True, rowsperstrip=8, photometric="minisblack"
        ),
        "lzw-tiles.tif": tiff(COLOUR, compression="lzw", tile=(32, 32), byteorder=">", **rgb),
        "deflate.tif": tiff(COLOUR, compression="zlib", rowsperstrip=8, **rgb),
        "deflate-float.tif": tiff(AS["float32"](GREY), compression="zlib", predictor=True, photometric="minisblack"),
        "packbits.tif": tiff(GREY // 64, compression="packbits", rowsperstrip=16, photometric="miniswhite"),
        "rgba.tif": tiff(rgba, extrasamples=["assocalpha"], compression="zlib", **rgb),
        "rgba16.tif": tiff(AS["uint16"](rgba), extrasamples=["unassalpha"], rowsperstrip=9, **rgb),
        "jpeg.tif": tiff(COLOUR, compression="jpeg", tile=(32, 32), **rgb),
        "big.tif": tiff(AS["int16"](GREY), bigtiff=True, compression="lzw", photometric="minisblack"),
        "stack.tif": tiff(np.stack([GREY] * 3), photometric="minisblack", compression="zlib"),
        "imagej.tif": tiff(np.stack([AS["uint16"](GREY)] * 3), imagej=True, truncate=True),
        "palette.tif": palette.getvalue(),
        "bits.tif": tiff(GREY > 127, photometric="minisblack"),
        "a.pgm": pnm(5, GREY, 255),
        "deep.pgm": pnm(5, AS["uint16"](GREY) // 17, 4095),
        "text.pgm": pnm(2, GREY // 3, 100),
        "text.ppm": pnm(3, COLOUR // 2, 140),
        "a.ppm": pnm(6, COLOUR, 255),
        "a.pbm": pnm(4, GREY > 127, 1),
        "text.pbm": pnm(1, (GREY > 127).astype(int), 1),
    }


def entries(data: bytes) -> list[tuple[int, int, str, str]]:
    """Place, tag, and the letters of ``struct`` for count and value of each entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    head, width, letter = ("Q", 20, "Q") if big else ("H", 12, "I")
    (start,) = struct.unpack_from(order + letter, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + head, data, start)
    first = start + struct.calcsize("=" + head)
    places = range(first, first + width * count, width)
    return [(place, *struct.unpack_from(order + "H", data, place), order, letter) for place in places]


def mutate(name: str, whole: bytes, how: str, rng: np.random.Generator) -> bytes:
    data = bytearray(whole)
    if how == "truncate":
        return bytes(data[: int(rng.integers(len(data)))])
    if how == "flip":
        for place in rng.integers(0, len(data), int(rng.integers(1, 20))):
            data[place] ^= 1 << int(rng.integers(8))
        return bytes(data)
    if not name.endswith(".tif"):
        return _pnm_header(data, how, rng)
    listed = entries(whole)
    if how == "flip directory":
        for _ in range(int(rng.integers(1, 6))):
            place = listed[int(rng.integers(len(listed)))][0]
            data[place + int(rng.integers(12))] ^= 1 << int(rng.integers(8))
        return bytes(data)
    if how == "entry":  # another number where a number stands
        place, _, order, letter = listed[int(rng.integers(len(listed)))]
        value = int(rng.choice([0, 1, 2, 3, 5, 7, 8, 16, 255, 32773, 65535, 2**31, 2**32 - 1]))
        struct.pack_into(order + letter, data, place + 4 + struct.calcsize("=" + letter), value)
        return bytes(data)
    size = int(rng.integers(5_000, 65_536)) if how == "huge" else 0
    for place, tag, order, letter in listed:
        if tag in (256, 257):
            struct.pack_into(order + "H", data, place + 2, 4)
            struct.pack_into(order + "I", data, place + 4 + struct.calcsize("=" + letter), size)
    return bytes(data)


def _pnm_header(data: bytearray, how: str, rng: np.random.Generator) -> bytes:
    if how in ("flip directory", "entry"):
        for place in rng.integers(0, 16, int(rng.integers(1, 4))):
            data[place] ^= 1 << int(rng.integers(8))
        return bytes(data)
    size = b"%d %d" % ((int(rng.integers(5_000, 65_536)),) * 2 if how == "huge" else (0, 7))
    return re.sub(rb"\d+ \d+", size, bytes(data), count=1)


@pytest.fixture
def limit(monkeypatch):
    for module in ("raster", "tiff_layout"):
        monkeypatch.setattr(f"medanomaly.imaging.{module}.MAX_PIXELS", PIXELS)
    return PIXELS


def test_healthy_files_are_read(tmp_path):
    for name, data in healthy().items():
        (tmp_path / name).write_bytes(data)
        for address in frames(tmp_path / name):
            assert decode(address).shape == (*GREY.shape, 3)


def _read(path: Path, reading: Preprocessing) -> tuple[str, np.ndarray, np.ndarray, str]:
    try:
        address = frames(path)[0]
        image, small = decode(address), reading.load(address)
    except ImageError as error:
        return "", np.empty(0), np.empty(0), str(error)
    try:
        assert decode_mask(address).shape == image.shape[:2]
    except ImageError as error:  # transparency alone, or values below 0
        return address, image, small, "" if path.name in str(error) else str(error)
    return address, image, small, ""


def test_six_hundred_damaged_files(tmp_path, limit):
    whole = healthy()
    names = list(whole)
    outcomes: dict[str, list[int]] = {how: [0, 0] for how in MUTATIONS}
    reading = Preprocessing((16, 16), "minmax")
    tracemalloc.start()
    for seed in range(FILES):
        rng = np.random.default_rng(seed)
        name, how = names[seed % len(names)], MUTATIONS[seed // len(names) % len(MUTATIONS)]
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(mutate(name, whole[name], how, rng))
        began = time.perf_counter()
        address, image, small, error = _read(path, reading)
        if error:
            assert path.name in error, f"{path.name} ({how}): the error does not name it: {error}"
            outcomes[how][1] += 1
        else:
            assert image.ndim == 3, path.name
            assert image.shape[2] == 3, path.name
            assert 0 < image.shape[0] * image.shape[1] <= limit, path.name
            assert np.isfinite(image).all(), path.name
            np.testing.assert_array_equal(image, decode(address), err_msg=path.name)  # no memory that nobody filled
            assert small.shape == (16, 16, 3), path.name
            assert 0 <= small.min() <= small.max() <= 1, path.name
            outcomes[how][0] += 1
        assert time.perf_counter() - began < 5, f"{path.name} ({how}) took too long"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * PIXELS
    assert sum(map(sum, outcomes.values())) == FILES
    # A fuzz test that damages nothing, or everything, tests little.
    assert outcomes["huge"][0] == outcomes["none"][0] == 0, outcomes
    assert outcomes["truncate"][0] <= 0.1 * sum(outcomes["truncate"]), outcomes
    assert outcomes["flip"][0] > 5, outcomes
    assert outcomes["entry"][0] > 5, outcomes
