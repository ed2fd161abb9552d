"""Damaged compressed DICOM: each is a valid image or one clear error, soon and within the limits.

As in ``test_fuzz``, the seeds are fixed. What is damaged here: JPEG 2000, JPEG-LS, lossless JPEG, RLE and deflated files,
files without preamble, and palettes; in the header, anywhere, and within the compressed picture.
"""

from __future__ import annotations

import io
import time

import cv2
import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from tests.imaging.dicom_files import by_gdcm, dataset, in_rle

from medanomaly.imaging import ImageError, Preprocessing, decode

MUTATIONS = ("truncate", "flip", "flip header", "flip picture", "cut out", "repeat")
ROUNDS = 6


def written(data) -> bytes:
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> dict[str, bytes]:
    pytest.importorskip("openjpeg", reason="compressed DICOM needs medanomaly[dicom]")
    pytest.importorskip("gdcm", reason="compressed DICOM needs medanomaly[dicom]")
    folder = tmp_path_factory.mktemp("healthy")
    rng = np.random.default_rng(0)
    colour = cv2.GaussianBlur(rng.integers(0, 255, (40, 48, 3), dtype=np.uint8), (0, 0), 2)
    grey = colour[..., 0].astype(np.uint16) * 16
    rgb = dataset(colour, 8, "RGB")
    files = {}
    for name, data, depth in (("grey", dataset(grey, 12), grey), ("rgb", rgb, colour)):
        compressed = dataset(depth, 12 if name == "grey" else 8, "MONOCHROME2" if name == "grey" else "RGB")
        compressed.compress(JPEG2000Lossless)
        files[f"j2k-{name}"] = written(compressed)
        for syntax in ("JPEGLSLossless", "JPEGLosslessProcess14_1"):
            files[f"{syntax}-{name}"] = written(by_gdcm(data, syntax, folder))
    files["near"] = written(by_gdcm(dataset(colour[..., 0], 8), "JPEGLSNearLossless", folder))
    rle = dataset(colour, 8, "RGB")
    rle.compress(RLELossless)
    files["rle-rgb"] = written(rle)
    files["rle-32"] = written(in_rle(dataset(grey.astype(np.uint32), 32), grey.astype(np.uint32)))
    deflated = dataset(np.stack([grey, grey]), 12, NumberOfFrames=2)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    files["deflated"] = written(deflated)
    files["bare"] = written(dataset(grey, 12))[132:]
    palette = dataset(colour[..., 0], 8, "PALETTE COLOR")
    for plane in ("Red", "Green", "Blue"):
        palette.add_new(f"{plane}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        palette.add_new(
            f"Segmented{plane}PaletteColorLookupTableData", "OW", bytes.fromhex("000002000000ff000100fe000010")
        )
    files["palette"] = written(palette)
    return files


def mutated(content: bytes, how: str, rng: np.random.Generator) -> bytes:
    data, size = bytearray(content), len(content)
    if how == "truncate":
        return content[: int(rng.integers(size))]
    if how.startswith("flip"):
        start, end = {"flip": (0, size), "flip header": (128, size // 2), "flip picture": (size // 2, size)}[how]
        for place in rng.integers(min(start, end - 1), end, int(rng.integers(1, 12))):
            data[place] ^= 1 << int(rng.integers(8))
        return bytes(data)
    start = int(rng.integers(size - 8))
    length = int(rng.integers(1, 64))
    part = data[start : start + length]
    return bytes(data[:start] + (part * 3 if how == "repeat" else b"") + data[start + length :])


def address(path, name: str):
    return f"{path}#frame=2" if name == "deflated" else path


def tried(path, reading: Preprocessing) -> tuple[np.ndarray, np.ndarray, str]:
    try:
        return decode(path), reading.load(path), ""
    except ImageError as error:
        return np.empty(0), np.empty(0), str(error)


def test_healthy_files_are_read(tmp_path, healthy):
    for name, content in healthy.items():
        (tmp_path / name).write_bytes(content)
        image = decode(address(tmp_path / name, name))
        assert image.shape == (40, 48, 3), name
        assert image.std() > 0, name


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files(tmp_path, healthy, capfd):
    reading = Preprocessing((16, 16), "minmax")
    images = errors = 0
    for number, (name, content) in enumerate(healthy.items()):
        for how in MUTATIONS:
            for attempt in range(ROUNDS):
                rng = np.random.default_rng([number, MUTATIONS.index(how), attempt])
                path = tmp_path / f"{name}-{how}-{attempt}".replace(" ", "-")
                path.write_bytes(mutated(content, how, rng))
                began = time.perf_counter()
                image, small, error = tried(address(path, name), reading)
                if error:
                    assert path.name in error, f"{path.name}: the error does not name it: {error}"
                    errors += 1
                else:
                    assert image.ndim == 3, path.name
                    assert np.isfinite(image).all(), path.name
                    assert 0 <= small.min() <= small.max() <= 1, path.name
                    images += 1
                assert time.perf_counter() - began < 5, f"{path.name} took too long"
    assert images > 50  # a fuzz test that damages nothing, or everything, tests little
    assert errors > 150
    assert "Traceback" not in capfd.readouterr().err
