"""Every DICOM file within pydicom's own wheel: read as pydicom reads it, or named for what it is."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from medanomaly.imaging import ImageError, Preprocessing, decode_mask, frames, looks_like_dicom
from medanomaly.imaging.decode import read

ROOT = Path(pydicom.__file__).parent / "data"
#: Not DICOM: texts, an archive, a colour profile; and a file that begins with a stray byte.
OTHERS = {".py", ".pyc", ".txt", ".md", ".json", ".gz", ".dump", ".icc"}
NO_DICOM = {"no_meta.dcm", "README"}
#: Pixels that pydicom cannot read, and what is said of them.
UNREADABLE = {
    "MR_truncated.dcm": "holds fewer bytes",
    "JPEG-lossy.dcm": "cannot be decoded|12-bit JPEG",
    "JPEG2000-embedded-sequence-delimiter.dcm": "compressed picture is",
    "meta_missing_tsyntax.dcm": "lacks Rows",
    "nested_priv_SQ.dcm": "lacks Rows",
    "badVR.dcm": "no number",
}
LOSSY = ("JPEG Baseline", "JPEG Extended")


@lru_cache(maxsize=1)
def files() -> tuple[Path, ...]:
    """By their content alone: the wheel's folder holds what its own list of downloads would add to."""
    return tuple(
        p for p in sorted(ROOT.rglob("*")) if p.is_file() and p.suffix not in OTHERS and p.name not in NO_DICOM
    )


@lru_cache(maxsize=4)
def header(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def has_pixels(path: Path) -> bool:
    return any(key in header(path) for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def sop(path: Path) -> str:
    return getattr(header(path).get("SOPClassUID"), "name", "")


def is_image(path: Path) -> bool:
    return has_pixels(path) and path.name not in UNREADABLE and "Segm" not in sop(path)


IMAGES = [path for path in files() if is_image(path)]
NAMED = [path for path in files() if not has_pixels(path)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def expected(path: Path) -> np.ndarray:
    """What pydicom makes of all frames, in [0, 1] as the window or the stored bits say, low values dark."""
    data = header(path)
    pixels = data.pixel_array
    white = np.float64(2**data.BitsStored - 1)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        return pydicom.pixels.apply_color_lut(pixels, data) / 65535
    if data.SamplesPerPixel == 3:
        return pixels / white
    ends = np.array([0, white]) - (2 ** (data.BitsStored - 1) if data.PixelRepresentation else 0)
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    low, high = ends * slope + intercept
    shown = (apply_voi_lut(apply_modality_lut(pixels, data), data) - low) / (high - low)
    return 1 - shown if data.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", IMAGES, ids=name)
def test_frames_are_those_of_pydicom(path):
    data = header(path)
    syntax = data.file_meta.TransferSyntaxUID
    if syntax.keyword == "JPEGExtended12Bit":
        pytest.importorskip("libjpeg", reason="12-bit JPEG needs medanomaly[dicom-libjpeg]")
    elif syntax.is_encapsulated and "RLE" not in syntax.name:
        pytest.importorskip("openjpeg", reason="compressed DICOM needs medanomaly[dicom]")
    addresses = frames(path)
    wanted = expected(path) if len(addresses) > 1 else expected(path)[None]
    assert len(wanted) == len(addresses)
    for address, want in zip(addresses, wanted, strict=True):
        within = 3.001 / 255 if syntax.name.startswith(LOSSY) else 1e-6
        np.testing.assert_allclose(read(address).unit(), want, rtol=0, atol=within)


@pytest.mark.parametrize("path", NAMED, ids=name)
def test_what_holds_no_pixels_is_named(path):
    assert looks_like_dicom(path)
    with pytest.raises(ImageError, match="not an image|no pixel data") as error:
        read(path)
    assert str(path) in str(error.value)
    kind = sop(path).removesuffix(" Storage")
    assert kind in str(error.value)


@pytest.mark.parametrize("path", [path for path in files() if "Segm" in sop(path)], ids=name)
def test_segmentations_are_no_images(path):
    with pytest.raises(ImageError, match="is a segmentation.*not an image"):
        read(path)


@pytest.mark.parametrize("path", [path for path in IMAGES if "Dose" in sop(path)], ids=name)
def test_doses_are_read_and_never_scored(path):
    """Their values are those of pydicom, see above."""
    for load in (Preprocessing((8, 8)).load, Preprocessing((8, 8), intensity="minmax").load_placed):
        with pytest.raises(ImageError, match="is a dose distribution.*not an image"):
            load(frames(path)[0])


@pytest.mark.parametrize("name", ["liver_1frame.dcm", "liver_expb_1frame.dcm"])
def test_a_segmentation_is_a_mask(name):
    path = ROOT / "test_files" / name
    np.testing.assert_array_equal(decode_mask(path), pydicom.dcmread(path).pixel_array > 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_pydicom_cannot_read_is_named_too(name):
    with pytest.raises(ImageError, match=UNREADABLE[name]):
        read(ROOT / "test_files" / name)


def test_the_wheel_holds_what_this_file_speaks_of():
    assert len(IMAGES) > 75
    assert len(NAMED) > 70
    assert {path.name for path in files()} >= set(UNREADABLE)
