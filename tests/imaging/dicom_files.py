"""DICOM files written for tests: a known array under a given header."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

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


def in_rle(data: Dataset, words: np.ndarray) -> Dataset:
    """The same with these words (H, W) in RLE (PS3.5 G), of any depth: pydicom writes up to 16 bits."""
    planes = (
        np.frombuffer(words.astype(words.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(-1, words.itemsize).T
    )
    segments = []
    for plane in planes:
        runs = [plane[start : start + 128].tobytes() for start in range(0, plane.size, 128)]
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    places = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    head = struct.pack("<16I", len(segments), *places, *[0] * (15 - len(segments)))
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([head + b"".join(segments)])
    data["PixelData"].is_undefined_length = True
    return data


def by_gdcm(data: Dataset, syntax: str, folder: Path) -> Dataset:
    """The same, compressed by gdcm: ``JPEGLSLossless``, ``JPEGLSNearLossless``, ``JPEGLosslessProcess14_1`` or ..."""
    import gdcm

    plain, packed = folder / "plain-for-gdcm.dcm", folder / "packed-by-gdcm.dcm"
    data.save_as(plain, enforce_file_format=True)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetFileName(str(packed))
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return pydicom.dcmread(packed)
