"""Grey DICOM goes by bands of rows: its values are those of the whole frame."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.imaging.dicom_files import write_dicom

from medanomaly.imaging import banded_resize
from medanomaly.imaging.decode import read
from medanomaly.imaging.dicom_open import open_dicom
from medanomaly.imaging.dicom_pixels import stored_values
from medanomaly.imaging.dicom_values import modality, padding, shown


def table(first: int, entries: int, bits: int = 16) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item.LUTData = np.random.default_rng(1).integers(0, 2**bits - 1, entries).astype("<u2").tobytes()
    item.ModalityLUTType = "US"
    return Sequence([item])


def plain(path, voi: bool) -> np.ndarray:
    """As it was done before bands: every step on all of the frame."""
    opened = open_dicom(path, mask=False)
    stored, words, photometric = stored_values(opened, 0)
    inverted, padded = photometric == "MONOCHROME1", padding(opened, stored, words)
    values, depth = modality(opened, 0, stored)
    if padded is not None and not padded.all():
        rest = values[~padded]
        darkest, brightest = (rest.max(), rest.min()) if inverted else (rest.min(), rest.max())
        values = values if darkest == brightest else np.where(padded, darkest, values)
    if voi:
        values, depth = shown(opened, 0, values, depth)
    return values.astype(np.float32)


KINDS = {
    "plain": {},
    "rescaled": {"RescaleSlope": 0.1, "RescaleIntercept": -1024.3},
    "window": {"WindowCenter": 700, "WindowWidth": 1999},
    "rescaled window": {"RescaleSlope": 1.7, "RescaleIntercept": -1000, "WindowCenter": 40, "WindowWidth": 401},
    "sigmoid": {"WindowCenter": 700, "WindowWidth": 1999, "VOILUTFunction": "SIGMOID"},
    "padding": {"PixelPaddingValue": 5, "PixelPaddingRangeLimit": 200, "WindowCenter": 700, "WindowWidth": 1999},
    "modality table": {"ModalityLUTSequence": table(0, 3000), "PixelPaddingValue": 9},
    "VOI table": {"VOILUTSequence": table(100, 2500), "RescaleSlope": 0.9, "RescaleIntercept": 3},
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_one_of_single_pixels(tmp_path, monkeypatch, kind, dtype, photometric):
    monkeypatch.setattr(banded_resize, "_VALUES", 300)
    bits = {"uint8": 8, "uint16": 12, "int16": 12, "int32": 24}[dtype]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if dtype[0] == "i" else (0, 2**bits)
    stored = np.random.default_rng(0).integers(low, high, (61, 47)).astype(dtype)
    stored[3:20, 5:30] = 5
    path = write_dicom(tmp_path / "x.dcm", stored, bits, photometric, **KINDS[kind])
    for voi in (False, True):
        picture = read(path, voi=voi)
        assert picture.pixels.dtype == np.float32
        np.testing.assert_array_equal(picture.pixels, plain(path, voi))


@pytest.mark.parametrize("rest", [5, 17])
def test_padding_beside_one_value_stays(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(banded_resize, "_VALUES", 60)
    stored = np.full((30, 20), 5, np.uint16)
    stored[20:] = rest  # some bands hold padding alone
    path = write_dicom(tmp_path / "x.dcm", stored, 12, PixelPaddingValue=5)
    np.testing.assert_array_equal(read(path).pixels, stored)
    stored[25:] = 40
    path = write_dicom(tmp_path / "y.dcm", stored, 12, PixelPaddingValue=5)
    np.testing.assert_array_equal(read(path).pixels, plain(path, True))
