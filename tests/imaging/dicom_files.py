"""DICOM files written for tests: a known array under a given header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def dataset(array: np.ndarray, bits: int, photometric: str = "MONOCHROME2", **header: Any) -> Dataset:
    """A data set around stored values (H, W), (H, W, 3), or (N, H, W) with NumberOfFrames; other keywords go in as is."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SECONDARY_CAPTURE
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    colour = array.ndim == 3 and array.shape[2] == 3 and "NumberOfFrames" not in header
    data.Rows, data.Columns = array.shape[1:3] if "NumberOfFrames" in header else array.shape[:2]
    data.SamplesPerPixel = 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = photometric
    data.BitsAllocated, data.BitsStored, data.HighBit = array.dtype.itemsize * 8, bits, bits - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    data.PixelData = array.tobytes()
    for keyword, value in header.items():
        setattr(data, keyword, value)
    return data


def write_dicom(path: Path, array: np.ndarray, bits: int, photometric: str = "MONOCHROME2", **header: Any) -> Path:
    dataset(array, bits, photometric, **header).save_as(path, enforce_file_format=True)
    return path
