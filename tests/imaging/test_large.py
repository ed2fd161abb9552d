"""What one large image takes: a multiple of its pixels that holds on any machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak that Linux keeps")

_PEAK = """
import numpy as np
from medanomaly.edge import Result
from medanomaly.imaging import Placement, Preprocessing

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

def after(step, *once):
    for step_before in once:
        step_before()  # what the first use of a library loads is not the picture's
    before = peak()
    kept = step()
    return peak() - before
"""


def peak(statement: str) -> float:
    """Bytes that a process of its own takes at most beyond what it held before."""
    code = [sys.executable, "-c", f"{_PEAK}\nprint({statement})"]
    return float(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


def tile(dtype: str, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (40, 40, channels)).astype(dtype)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "intensity='minmax'",
        "intensity='percentile'",
        "intensity='window:100,50'",
        "intensity='equalise', colour='grey'",
        "field_of_view='crop:0.9'",
    ],
)
def test_a_colour_picture_takes_its_pixels_and_one_copy(tmp_path, options):
    path = write_image(tmp_path / "x.png", np.tile(tile("uint8"), (100, 100, 1)))
    small = write_image(tmp_path / "small.png", tile("uint8"))
    reading = f"Preprocessing((30, 30), {options})"
    # OpenCV keeps a copy while it decodes. Floats of all pixels would be four more.
    assert peak(f"after(lambda: {reading}.load({str(path)!r}), lambda: {reading}.load({str(small)!r}))") < 3 * 48e6


def test_masks_and_maps_of_the_original_size_take_what_they_hold():
    made = "Result(input='x', raw_score=0.5, score=0.5, abnormal=False, image=np.zeros((64, 64, 3), np.float32), "
    made += "raw_map=np.zeros((64, 64), np.float32), pixel=(np.float32(0.1), np.float32(1)), "
    made += "place=Placement((4000, 4000), 0, 0, 4000, 4000))"
    for name, size in (("mask", 1), ("map", 2), ("heat", 4)):
        assert peak(f"after({made}.{name}_at_original)") < size * 16e6 + 40e6


def in_deflate(data: np.ndarray, path: Path) -> Path:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, data, compression="zlib", photometric="separated" if data.shape[-1] == 4 else None)
    return path


@pytest.mark.parametrize(
    ("kind", "stored", "most"),
    [
        ("window", 32e6, 4.5),
        ("rescaled", 32e6, 4.5),
        ("padded", 32e6, 5.5),
        ("cmyk", 64e6, 3.0),
        ("grey tiff", 32e6, 2.5),
    ],
)
def test_other_files_take_few_copies_of_what_they_store(tmp_path, kind, stored, most):
    paths = []
    for name, times in (("small", 1), ("large", 100)):
        grey = np.tile(tile("uint16", 1)[:, :, 0] // 16, (times, times))
        path = tmp_path / f"{name}.tif"
        if kind == "cmyk":
            paths.append(in_deflate(np.tile(tile("uint8", 4), (times, times, 1)), path))
        elif kind == "grey tiff":
            paths.append(in_deflate(grey, path))
        else:
            header = {"WindowCenter": 2000, "WindowWidth": 900}
            header |= {"RescaleSlope": 2, "RescaleIntercept": -7} if kind == "rescaled" else {}
            header |= {"PixelPaddingValue": int(grey[0, 0])} if kind == "padded" else {}
            paths.append(write_dicom(path.with_suffix(".dcm"), grey, 12, "MONOCHROME1", **header))
    small, large = (f"lambda: Preprocessing((30, 30)).load({str(path)!r})" for path in paths)
    # Of a grey DICOM the words of the file, those read and their floats, which take two: 64 bits on the way take more.
    assert peak(f"after({large}, {small})") < most * stored
