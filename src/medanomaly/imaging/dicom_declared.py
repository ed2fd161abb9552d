"""Check what a DICOM header declares of its pixels before one is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medanomaly.imaging.limits import MAX_FRAMES, MAX_PIXELS, ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Elements that hold pixels, and the bits of a value where the element alone decides them.
PIXELS = {
    0x7FE00010: ("PixelData", None),
    0x7FE00008: ("FloatPixelData", 32),
    0x7FE00009: ("DoubleFloatPixelData", 64),
}
_ALLOCATED = (1, 8, 16, 32)


def allocated(data: Dataset, keyword: str) -> int:
    """Bits that a value takes in the file."""
    fixed = next(bits for name, bits in PIXELS.values() if name == keyword)
    return fixed or int(data.BitsAllocated)


def check_picture(path: Path, data: Dataset, keyword: str) -> None:
    """Refuse what no reader here could make a picture of, before a pixel is read.

    Raises:
        ImageError: for elements that are missing, and for sizes and depths out of range.
    """
    lacking = [key for key in ("Rows", "Columns", "PhotometricInterpretation") if data.get(key) in (None, "")]
    if keyword == "PixelData":
        lacking += [key for key in ("SamplesPerPixel", "BitsAllocated", "BitsStored") if data.get(key) is None]
    if lacking:
        raise ImageError(f"{path}: lacks {', '.join(lacking)} in its header. Export or send it again.")
    rows, columns, samples = int(data.Rows), int(data.Columns), int(data.get("SamplesPerPixel") or 1)
    if rows < 1 or columns < 1:
        raise ImageError(f"{path}: declares a picture of {columns}×{rows} pixels. Export or send it again.")
    if rows * columns > MAX_PIXELS:
        raise ImageError(f"{path}: {columns}×{rows} is over the limit of {MAX_PIXELS} pixels.")
    if keyword != "PixelData":
        if samples != 1:
            raise ImageError(f"{path}: has {samples} samples a pixel of floats. Readable: 1.")
        return
    allocated, stored = int(data.BitsAllocated), int(data.BitsStored)
    if samples not in (1, 3) or allocated not in _ALLOCATED or not 1 <= stored <= allocated:
        raise ImageError(
            f"{path}: has {samples} samples a pixel of {stored} bits in {allocated}. "
            "Readable: 1 or 3 samples of up to 32 bits."
        )
    high = data.get("HighBit")
    if allocated > 1 and high is not None and int(high) != stored - 1:
        raise ImageError(f"{path}: its values do not start at the lowest bit (HighBit {high}). Convert it.")


def declared_frames(path: Path, data: Dataset) -> int:
    """Number of Frames, 1 if it is not said.

    Raises:
        ImageError: if it is no number, or out of range.
    """
    text = data.get("NumberOfFrames")
    try:
        count = 1 if text is None or text == "" else int(text)
    except (TypeError, ValueError):
        raise ImageError(f"{path}: declares '{text}' frames, which is no number. Correct its header.") from None
    if not 1 <= count <= MAX_FRAMES:
        raise ImageError(f"{path}: declares {count} frames, which must lie in 1 to {MAX_FRAMES}.")
    return count
