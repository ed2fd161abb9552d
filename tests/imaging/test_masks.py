"""Masks: what was marked is marked, and no more, in every format that a mask comes in."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit
from tests.conftest import write_image
from tests.imaging.dicom_files import dataset
from tests.imaging.tiff_files import write

from medanomaly.imaging import ImageError, Preprocessing, decode_mask


def dots() -> np.ndarray:
    mask = np.zeros((160, 240), np.uint8)
    for x in range(24, 240, 24):
        cv2.circle(mask, (x, 80), 4, 255, -1)
    return mask


def regions(mask: np.ndarray) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


def jpeg(mask: np.ndarray, quality: int, options: tuple[int, ...] = ()) -> bytes:
    return cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality, *options])[1].tobytes()


@pytest.mark.parametrize("quality", [50, 75, 95, 100])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("colour", [False, True])
def test_a_jpeg_mask_keeps_its_dots(tmp_path, quality, progressive, colour):
    mask = dots()
    image = np.dstack([mask * 0, mask * 0, mask]) if colour and quality > 75 else mask
    (tmp_path / "m.jpg").write_bytes(jpeg(image, quality, (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)))
    seen = decode_mask(tmp_path / "m.jpg")
    assert regions(seen) == regions(mask > 0)
    assert seen.sum() == pytest.approx((mask > 0).sum(), rel=0.12 if colour else 0.06)
    assert Preprocessing((160, 240)).load_mask(tmp_path / "m.jpg").sum() == seen.sum()


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_jpeg_within_tiff_is_as_lossy(tmp_path, quality, photometric):
    mask = dots()
    stored = 255 - mask if photometric == "miniswhite" else mask
    options = {"compression": "jpeg", "compressionargs": {"level": quality}, "photometric": photometric}
    seen = decode_mask(write(tmp_path / "m.tif", stored, **options))
    assert regions(seen) == regions(mask > 0)
    assert seen.sum() == pytest.approx((mask > 0).sum(), rel=0.06)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_and_so_is_jpeg_within_dicom(tmp_path, photometric):
    mask = dots()
    stored = 255 - mask if photometric == "MONOCHROME1" else mask
    data = dataset(stored, 8, photometric)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([jpeg(stored, 75)])
    data.save_as(tmp_path / "m.dcm", enforce_file_format=True)
    seen = decode_mask(tmp_path / "m.dcm")
    assert regions(seen) == regions(mask > 0)
    assert seen.sum() == pytest.approx((mask > 0).sum(), rel=0.06)


def test_a_dicom_that_once_was_lossy_stays_so(tmp_path):
    mask = dots()
    stored = cv2.imdecode(np.frombuffer(jpeg(mask, 75), np.uint8), cv2.IMREAD_GRAYSCALE)
    dataset(stored, 8, LossyImageCompression="01").save_as(tmp_path / "m.dcm", enforce_file_format=True)
    assert regions(decode_mask(tmp_path / "m.dcm")) == regions(mask > 0)


@pytest.mark.parametrize("value", [1, 2, 3, 60, 100, 127])
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_a_lossy_mask_of_labels_is_refused_and_not_lost(tmp_path, value, suffix):
    labels = np.zeros((64, 64), np.uint8)
    labels[16:32, 16:40] = value
    path = tmp_path / f"m{suffix}"
    if suffix == ".jpg":
        path.write_bytes(jpeg(labels, 100))
    else:
        write(path, labels, compression="jpeg", compressionargs={"level": 100})
    with pytest.raises(ImageError, match=rf"m\{suffix}.*no mark.*PNG"):
        decode_mask(path)


@pytest.mark.parametrize("quality", [1, 5, 50, 95])
def test_an_empty_lossy_mask_is_empty(tmp_path, quality):
    (tmp_path / "m.jpg").write_bytes(jpeg(np.zeros((64, 64), np.uint8), quality))
    assert not decode_mask(tmp_path / "m.jpg").any()


#: The types that each format has, and values that each type holds.
STORED = [
    (suffix, kind, value)
    for suffix, kinds in ((".png", ("uint8", "uint16")), (".tif", ("uint8", "uint16", "int8", "int16", "float32")))
    for kind in kinds
    for value in (1, 2, 255, 256, 65535)
    if kind == "float32" or value <= np.iinfo(kind).max
]


@pytest.mark.parametrize(("suffix", "kind", "value"), STORED)
def test_without_loss_all_that_is_not_black_counts(tmp_path, kind, value, suffix):
    mask = np.zeros((8, 9), kind)
    mask[2:4, 5] = value
    path = write(tmp_path / "m.tif", mask) if suffix == ".tif" else write_image(tmp_path / "m.png", mask)
    np.testing.assert_array_equal(decode_mask(path), mask > 0)


def test_values_below_0_are_no_mask(tmp_path):
    mask = np.zeros((8, 9), np.int16)
    mask[2:4, 5] = -1
    with pytest.raises(ImageError, match=r"m\.tif.*below 0"):
        decode_mask(write(tmp_path / "m.tif", mask))


@pytest.mark.parametrize("shade", [0, 255])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_marks_in_the_transparency_alone_are_not_lost(tmp_path, shade, suffix, kind):
    white = np.iinfo(kind).max
    pixels = np.full((8, 9, 4), shade and white, kind)
    pixels[..., 3] = 0
    pixels[2:4, 5, 3] = white
    path = tmp_path / f"m{suffix}"
    if suffix == ".png":
        assert cv2.imwrite(str(path), pixels)
    else:
        write(path, pixels, extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match=rf"m\{suffix}.*alpha"):
        decode_mask(path)
    # One alpha for all, or marks in the colours too, is nothing to stop at.
    pixels[..., 3] = white
    cv2.imwrite(str(path.with_name("o.png")), pixels)
    assert decode_mask(path.with_name("o.png")).all() == bool(shade)


def test_a_damaged_mask_is_no_empty_mask(tmp_path):
    (tmp_path / "m.jpg").write_bytes(jpeg(dots(), 90)[:-200])
    with pytest.raises(ImageError, match="truncated"):
        decode_mask(tmp_path / "m.jpg")
    whole = jpeg(dots(), 90)
    place = whole.index(b"\xff\xc0")
    (tmp_path / "n.jpg").write_bytes(whole[: place + 5] + struct.pack(">HH", 0, 240) + whole[place + 9 :])
    with pytest.raises(ImageError, match=r"n\.jpg"):
        decode_mask(tmp_path / "n.jpg")
