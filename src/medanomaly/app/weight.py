"""How much memory an image takes to read, told by its header before a pixel is decoded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from medanomaly.imaging import split_frame
from medanomaly.imaging.header import HeaderError, read_header

#: Bytes a pixel at the height of reading for the model, measured on PNGs of 100 million pixels: as stored, and as
#: float32 beside it.
_COLOUR, _GREY = 15, 5


@lru_cache(maxsize=8192)
def weight(address: str) -> int:
    """Bytes that the reading of a file, or of one frame of it, takes at its height; 0 where its header does not tell.

    Args:
        address: As the detector reads it, ``FILE`` or ``FILE#frame=N``.
    """
    path, frame = split_frame(address)
    try:
        with path.open("rb") as file:
            head = file.read(132)
        return _dicom(path) if head[128:] == b"DICM" else _raster(path, head, frame or 1)
    except (OSError, HeaderError, ValueError, IndexError):
        return 0  # what cannot be read takes no memory: the reading says why


def _raster(path: Path, head: bytes, page: int) -> int:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):  # told by its first bytes: the whole file need not be read
        width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
        return width * height * (_GREY if head[25] == 0 else _COLOUR)
    header = read_header(np.fromfile(path, np.uint8), page - 1)
    if header is None:
        return 0
    return header.width * header.height * (_GREY if header.channels == 1 else _COLOUR)


def _dicom(path: Path) -> int:
    from pydicom import dcmread

    try:
        data = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns", "SamplesPerPixel"])
        colour = int(data.get("SamplesPerPixel") or 1) > 1
        return int(data.get("Rows") or 0) * int(data.get("Columns") or 0) * (_COLOUR if colour else 2 * _GREY)
    except Exception:  # pydicom raises every kind of error on damaged files: the reading says what is wrong
        return 0
