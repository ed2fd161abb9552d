"""Bit depths, broken files, paths."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.imaging import ImageError, decode, decode_mask, inside

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_formats_keep_every_value(tmp_path, suffix, dtype, colour):
    shape = (20, 30, 3) if colour else (20, 30)
    array = RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    image = decode(write_image(tmp_path / f"a{suffix}", array))
    assert image.dtype == dtype
    assert image.shape == (20, 30, 3)
    expected = array if colour else np.repeat(array[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(image, expected)


def test_jpeg_is_rgb(tmp_path):
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 0] = 200
    image = decode(write_image(tmp_path / "a.jpg", red))
    assert image[..., 0].mean() > 190
    assert image[..., 2].mean() < 10


def test_alpha_is_dropped(tmp_path):
    bgra = RNG.integers(0, 255, (8, 8, 4), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), bgra[:, :, 2::-1])


def test_float_tiff_with_nan_names_the_file(tmp_path):
    array = np.zeros((8, 8), np.float32)
    array[3, 3] = np.nan
    cv2.imwrite(str(tmp_path / "bad.tiff"), array)
    with pytest.raises(ImageError, match=r"bad\.tiff.*NaN"):
        decode(tmp_path / "bad.tiff")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.97])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = write_image(tmp_path / f"cut{suffix}", RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match="cut"):
        decode(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "empty"),
        ("text.png", b"I am no picture", "not a readable image"),
        ("none.png", None, "exist"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=f"{name}.*{message}"):
        decode(tmp_path / name)


def test_a_directory_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="directory"):
        decode(tmp_path)


def test_mask_marks_every_pixel_above_zero(tmp_path):
    mask = np.array([[0, 1], [128, 255]], np.uint8)
    np.testing.assert_array_equal(decode_mask(write_image(tmp_path / "m.png", mask)), mask > 0)


def test_paths_stay_inside_the_root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png"):
        with pytest.raises(ImageError, match="outside"):
            inside(root, path)
    assert inside(root, "a/b.png") == root / "a/b.png"
