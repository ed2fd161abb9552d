"""PBM, PGM and PPM: every value by the largest that the file names, as text and as bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from medanomaly.imaging import ImageError, Preprocessing, decode, frames
from medanomaly.imaging.decode import read

RNG = np.random.default_rng(0)


def pnm(kind: int, array: np.ndarray, white: int, comment: str = "") -> bytes:
    head = f"P{kind}\n{comment}{array.shape[1]} {array.shape[0]}\n".encode()
    if kind not in (1, 4):
        head += f"{white}\n".encode()
    if kind <= 3:
        return head + "\n".join(" ".join(map(str, row.ravel())) for row in array).encode() + b"\n"
    if kind == 4:
        return head + np.packbits(array.astype(np.uint8), axis=1).tobytes()
    return head + array.astype(np.uint8 if white < 256 else ">u2").tobytes()


@pytest.mark.parametrize("white", [1, 7, 100, 254, 255, 256, 1000, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_the_largest_value_is_white(tmp_path, kind, white):
    shape = (9, 13, 3) if kind in (3, 6) else (9, 13)
    array = RNG.integers(0, white, shape, endpoint=True)
    array[0, 0] = white
    path = tmp_path / "a.pnm"
    path.write_bytes(pnm(kind, array, white, "# drawn\n"))
    picture = read(path)
    np.testing.assert_array_equal(picture.pixels, array)
    np.testing.assert_allclose(picture.unit(), array / white, atol=1e-6)
    seen = Preprocessing((9, 13)).load(path)
    np.testing.assert_allclose(seen, np.broadcast_to((array / white).reshape(9, 13, -1), (9, 13, 3)), atol=1e-6)
    assert decode(path).dtype == {255: np.uint8, 65535: np.uint16}.get(white, np.float32)


@pytest.mark.parametrize("kind", [1, 4])
def test_a_set_bit_is_black(tmp_path, kind):
    array = RNG.integers(0, 2, (9, 13))
    (tmp_path / "a.pbm").write_bytes(pnm(kind, array, 1))
    np.testing.assert_array_equal(read(tmp_path / "a.pbm").pixels, np.where(array, 0, 255))


def test_bits_as_text_need_no_space_and_comments_may_stand_anywhere(tmp_path):
    (tmp_path / "a.pbm").write_bytes(b"P1 # bits\n3 # wide\n2\n010\n1#\n01")
    np.testing.assert_array_equal(read(tmp_path / "a.pbm").pixels, [[255, 0, 255], [0, 255, 0]])
    (tmp_path / "a.pgm").write_bytes(b"P2\n2 2\n10\n0 5 # half\n10\t1\n")
    np.testing.assert_allclose(read(tmp_path / "a.pgm").unit(), [[0, 0.5], [1, 0.1]], atol=1e-7)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"P2\n2 2\n100\n0 25 50 101\n", "101, above"),
        (b"P5\n2 2\n1000\n" + b"\x03\xe8" * 3 + b"\x03\xe9", "1001, above"),
        (b"P2\n2 2\n100\n0 25 50\n", "truncated.*3 of 4"),
        (b"P2\n2 2\n100\n       \n", "truncated"),
        (b"P2\n2 2\n100\n0 25 x 50\n", "something else"),
        (b"P3\n2 2\n9\n0 1 2 3 4 5 6 7 8 9 0 -1\n", "something else"),
        (b"P1\n2 2\n0 1 2 0\n", "neither 0 nor 1"),
        (b"P5\n2 2\n255\nabc", "truncated"),
        (b"P5\n2 2\n0\nabcd", "largest value of 0"),
        (b"P5\n2 2\n65536\nabcdefgh", "largest value of 65536"),
        (b"P2\n2 2\n255\n99999999999999999999999 0 0 0", "above"),
        (b"P5\n2 2\n255\nabcdP5\n2 2\n255\nabcd", "several pictures"),
        (b"P2\n60000 60000\n255\n0 0 0", "truncated|limit"),
    ],
)
def test_what_does_not_fit_its_header_is_refused(tmp_path, content, words):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.pgm.*({words})"):
        decode(tmp_path / "a.pgm")


def test_it_holds_one_picture(tmp_path):
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n2 2\n255\nabcd\n")
    assert frames(path) == [str(path)]
    with pytest.raises(ImageError, match="no frame 2"):
        decode(f"{path}#frame=2")


def png_of(width: int, height: int) -> bytes:
    """A PNG of that size with next to no pixels."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(b"\0")) + part(b"IEND", b"")


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF of that size with one short strip."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("name", ["a.pgm", "a.tif", "a.png", "a.bmp"])
def test_what_a_header_alone_refuses_is_refused_before_it_is_read(tmp_path, name):
    """The page takes files in by their header."""
    huge = {
        "a.pgm": b"P5\n60000 60000\n255\n" + bytes(100),
        "a.tif": tiff_of(60000, 60000),
        "a.png": png_of(60000, 60000),
        "a.bmp": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 154, 0, 54, 40, 60000, 60000, 1, 24, 0, 100, 0, 0, 0, 0)
        + bytes(100),
    }
    (tmp_path / name).write_bytes(huge[name])
    with pytest.raises(ImageError, match=rf"{name}: "):
        frames(tmp_path / name)
