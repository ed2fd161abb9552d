"""Orientation, reduced decoding, further formats, and headers that promise what is not there."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.imaging import ImageError, Preprocessing, decode, decode_mask
from medanomaly.imaging.decode import read

RNG = np.random.default_rng(0)


def soft(height: int, width: int, colour: bool = True) -> np.ndarray:
    """A picture with detail of some pixels' size, over the whole range."""
    noise = RNG.integers(0, 255, (height, width, 3) if colour else (height, width), dtype=np.uint8)
    blurred = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 6)
    return cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


UPRIGHT = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, 1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once_to_image_and_mask_alike(tmp_path, orientation):
    stored = soft(60, 92)
    jpeg = cv2.imencode(".jpg", stored[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(jpeg, orientation))
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(jpeg)
    upright = UPRIGHT[orientation](decode(plain))
    np.testing.assert_array_equal(decode(path), upright)
    np.testing.assert_array_equal(decode_mask(path), (upright > 127).any(axis=2))
    # Reduced decoding turns it too, and masks are held against the upright size.
    reading = Preprocessing((12, 12))
    mask = write_image(tmp_path / "mask.png", np.full(upright.shape[:2], 255, np.uint8))
    image, marked = reading.load_pair(path, mask)
    assert marked.all()
    assert np.abs(image - reading.prepare(upright)).mean() < 0.02
    if orientation >= 5:
        wrong = write_image(tmp_path / "wrong.png", np.zeros(stored.shape[:2], np.uint8))
        with pytest.raises(ImageError, match=r"wrong\.png.*92×60.*60×92.*upright"):
            reading.load_pair(path, wrong)


@pytest.mark.parametrize("field_of_view", ["none", "crop:0.7", "crop:451", "crop:97"])
@pytest.mark.parametrize("shape", [(901, 1203), (640, 480), (97, 611)])
def test_a_jpeg_decoded_reduced_is_the_same_picture(tmp_path, shape, field_of_view):
    if field_of_view == "crop:451" and min(shape) < 451:
        pytest.skip("the crop is larger than the picture")
    path = write_image(tmp_path / "a.jpg", soft(*shape))
    reading = Preprocessing((48, 40), field_of_view=field_of_view)
    reduced, full = reading.load(path), reading.prepare(decode(path))
    assert np.abs(reduced - full).mean() * 255 < 3.5  # of noise with a spread of 40; a shift by one gives 10 and more
    # A shift by half a pixel of the reduced picture would show here: no shift fits better than none.
    errors = {by: np.abs(np.roll(reduced, by, axis=1)[:, 3:-3] - full[:, 3:-3]).mean() for by in (-1, 0, 1)}
    assert min(errors, key=errors.get) == 0


@pytest.mark.parametrize(
    ("size", "field_of_view", "expected"),
    [((64, 64), "none", 8), ((65, 65), "none", 4), ((100, 20), "none", 4), ((64, 64), "crop:256", 4),
     ((300, 300), "none", 1), ((64, 64), "crop:0.25", 2), ((8, 8), "circle", 1)],
)  # fmt: skip
def test_how_far_a_jpeg_is_reduced(tmp_path, size, field_of_view, expected):
    path = write_image(tmp_path / "a.jpg", soft(512, 600))
    reading = Preprocessing(size, field_of_view=field_of_view)
    picture = read(path, reading._reduction)
    assert picture.shape == (512, 600)
    assert picture.pixels.shape[:2] == (512 // expected, 600 // expected)


def test_load_pair_checks_the_mask_against_the_size_in_the_file(tmp_path):
    path = write_image(tmp_path / "a.jpg", soft(256, 256))
    square = np.zeros((256, 256), np.uint8)
    square[64:128, 128:192] = 255
    image, mask = Preprocessing((32, 32)).load_pair(path, write_image(tmp_path / "m.png", square))
    assert image.shape == (32, 32, 3)
    np.testing.assert_array_equal(np.argwhere(mask)[[0, -1]], [[8, 16], [15, 23]])
    with pytest.raises(ImageError, match=r"s\.png.*32×32.*256×256"):
        Preprocessing((32, 32)).load_pair(path, write_image(tmp_path / "s.png", square[::8, ::8]))
    assert Preprocessing((32, 32)).load_pair(path)[1] is None


@pytest.mark.parametrize(("suffix", "dtype"), [(".pgm", np.uint8), (".pgm", np.uint16), (".bmp", np.uint8)])
def test_pgm_and_bmp_keep_every_value(tmp_path, suffix, dtype):
    array = RNG.integers(0, np.iinfo(dtype).max, (20, 31), dtype=dtype, endpoint=True)
    image = decode(write_image(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(image[..., 0], array)


def test_a_pgm_is_scaled_by_the_largest_value_it_names(tmp_path):
    array = RNG.integers(0, 4096, (20, 30), dtype=np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5\n# 12 bit\n30 20\n4095\n" + array.astype(">u2").tobytes())
    image = Preprocessing((20, 30)).load(tmp_path / "a.pgm")
    np.testing.assert_allclose(image[..., 0], array / 4095, atol=1e-5)


def test_16_bits_and_alpha(tmp_path):
    bgra = RNG.integers(0, 65536, (8, 8, 4), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), bgra[:, :, 2::-1])


def test_a_mask_in_a_faint_colour_counts(tmp_path):
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[1, 2] = (0, 0, 1)
    assert decode_mask(write_image(tmp_path / "m.png", mask)).sum() == 1


def test_pages_of_a_tiff_are_addressed(tmp_path):
    pages = [np.full((6, 5), value, np.uint8) for value in (10, 20)]
    cv2.imwritemulti(str(tmp_path / "a.tiff"), pages)
    with pytest.raises(ImageError, match="2 pages"):
        decode(tmp_path / "a.tiff")
    assert decode(f"{tmp_path / 'a.tiff'}#frame=2")[0, 0, 0] == 20


def png_of(width: int, height: int) -> bytes:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", zlib.compress(bytes(4096))) + part(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    data = cv2.imencode(".jpg", np.zeros((16, 16), np.uint8))[1].tobytes()
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def tiff_of(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 1)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(entries)) + body + bytes(4)


BOMBS = {
    "png": png_of(60_000, 60_000),
    "jpg": jpeg_of(60_000, 60_000),
    "tiff": tiff_of(60_000, 60_000),
    "bmp": cv2.imencode(".bmp", np.zeros((4, 4), np.uint8))[1].tobytes(),
    "pgm": b"P2\n60000 60000\n255\n0 0 0",
}
BOMBS["bmp"] = BOMBS["bmp"][:18] + struct.pack("<ii", 60_000, 60_000) + BOMBS["bmp"][26:]


@pytest.mark.parametrize("kind", BOMBS)
def test_a_huge_declared_size_is_refused_before_any_pixel_is_decoded(tmp_path, kind, monkeypatch):
    def never(*_):
        raise AssertionError("the decoder was asked")

    monkeypatch.setattr(cv2, "imdecode", never)
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(BOMBS[kind])
    with pytest.raises(ImageError, match=rf"bomb\.{kind}.*(limit|truncated|too few)"):
        decode(path)


@pytest.mark.parametrize("kind", ["png", "jpg", "tiff"])
def test_no_pixels_at_all_are_refused(tmp_path, kind):
    path = tmp_path / f"none.{kind}"
    path.write_bytes({"png": png_of, "jpg": jpeg_of, "tiff": tiff_of}[kind](0, 7))
    with pytest.raises(ImageError, match=r"none.*0×7"):
        decode(path)


def test_a_jpeg_too_short_for_its_size_is_refused(tmp_path):
    (tmp_path / "thin.jpg").write_bytes(jpeg_of(9_000, 9_000))  # within the limit of pixels
    with pytest.raises(ImageError, match=r"thin\.jpg.*9000×9000.*too few"):
        decode(tmp_path / "thin.jpg")
    flat = np.full((3000, 3000), 128, np.uint8)  # the most that a picture can be compressed is let through
    for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_QUALITY, 1]):
        (tmp_path / "flat.jpg").write_bytes(cv2.imencode(".jpg", flat, options)[1].tobytes())
        assert decode(tmp_path / "flat.jpg").shape == (3000, 3000, 3)


def test_a_thumbnails_end_marker_does_not_hide_truncation(tmp_path):
    data = cv2.imencode(".jpg", soft(64, 64))[1].tobytes()
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"\xff\xd9\xff\xd9"
    (tmp_path / "cut.jpg").write_bytes(data[:2] + comment + data[2 : len(data) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg.*truncated"):
        decode(tmp_path / "cut.jpg")


@pytest.mark.real
def test_full_size_films_open(real_data):
    for path in sorted((real_data / "mias" / "full_pgm_sample").glob("*.pgm")):
        assert decode(path).shape == (1024, 1024, 3)
