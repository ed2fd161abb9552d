"""Grey files are read as one channel, tables stand for arithmetic: neither changes what a model sees."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from medanomaly.imaging import Preprocessing, decode
from medanomaly.imaging.area_average import _weights, shrink
from medanomaly.imaging.decode import read
from medanomaly.imaging.decoded_image import DecodedImage


@pytest.fixture
def plane() -> np.ndarray:
    smooth = cv2.resize(np.random.default_rng(0).random((9, 9), np.float32), (512, 512), interpolation=cv2.INTER_CUBIC)
    return (np.clip(smooth, 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", "uint8"), (".png", "uint16"), (".pgm", "uint8"), (".jpg", "uint8")]
)
@pytest.mark.parametrize("size", [512, 200, 64, 700])
@pytest.mark.parametrize("rule", ["dtype", "minmax", "chroma"])
def test_a_grey_file_reads_as_its_colours_would(plane, tmp_path, suffix, dtype, size, rule):
    path = tmp_path / f"grey{suffix}"
    stored = plane if dtype == "uint8" else plane.astype(np.uint16) * 257
    assert cv2.imwrite(str(path), stored)
    assert read(path).pixels.ndim == 2
    colour = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    assert np.array_equal(decode(path), colour)
    reading = Preprocessing((size, size), intensity=rule)
    # A JPEG may be read at a half or less, where its own averages differ from ours by a grey level.
    limit = 2e-6 if suffix != ".jpg" or size > 256 else 0.01
    assert np.abs(reading.load(path) - reading.prepare(colour)).max() < limit


def test_a_palette_is_no_grey(tmp_path: Path):
    bits = b"\x89PNG\r\n\x1a\n"  # built by hand: OpenCV writes no palettes

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = part(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    palette = part(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
    (tmp_path / "palette.png").write_bytes(
        bits + head + palette + part(b"IDAT", zlib.compress(b"\0\0\1")) + part(b"IEND", b"")
    )
    assert decode(tmp_path / "palette.png").tolist() == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("depth", [(0.0, 255.0), (0.0, 100.0), (16.0, 235.0)])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_table_is_the_arithmetic(depth, inverted):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    by_hand = np.clip((pixels.astype(np.float32) - np.float32(depth[0])) / np.float32(depth[1] - depth[0]), 0, 1)
    expected = 1 - by_hand if inverted else by_hand
    assert np.array_equal(DecodedImage(pixels, depth, (16, 16), inverted).unit(), expected)
    # uint16 goes the other way, and changes nothing of what it was given.
    wide = pixels.astype(np.uint16)
    assert np.array_equal(DecodedImage(wide, depth, (16, 16), inverted).unit(), expected)
    assert np.array_equal(wide, pixels)


@pytest.mark.parametrize("shape", [(40, 56), (40, 56, 3)])
@pytest.mark.parametrize("size", [(40, 56), (20, 28), (17, 23)])
def test_whole_edges_average_as_parts_of_pixels_do(shape, size):
    image = np.random.default_rng(1).random(shape, np.float32)
    rows, columns = _weights(40, 0, 40, size[0]), _weights(56, 0, 56, size[1])
    expected = np.einsum("ij,jk...,lk->il...", rows, image, columns)
    assert shrink(image, (0, 40, 0, 56), size) == pytest.approx(expected, abs=1e-6)
