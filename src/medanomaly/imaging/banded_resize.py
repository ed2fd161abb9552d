"""Resize by bands of rows: the values of a whole picture in floats, without one in memory.

A colour picture of 100 million pixels takes 0.3 GB as stored and 1.2 GB as floats. Here a band of it is made floats at
a time. The results are OpenCV's own for the whole picture, bit for bit: each of its sums keeps its order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import cv2
import numpy as np

#: Values of a band, about: 2 MB of floats stay in a core's cache. A smaller picture is one band.
_VALUES = 2**19

#: A factor that leaves a side as it is, and that OpenCV does not take for 1: if the other factor is whole too, it adds
#: first and multiplies after, which rounds otherwise. Its weights of single pixels are 1 all the same.
_SAME = 1 - 2**-50

#: Rows of a picture, those of the slice, as float32: (n, W) or (n, W, channels).
Rows = Callable[[slice], np.ndarray]


def bands(height: int, row: int, multiple: int = 1) -> Iterator[slice]:
    """Slices of rows, from the top.

    Args:
        height: Rows in all.
        row: Values of a row.
        multiple: Rows of every band but the last are a multiple of this.
    """
    step = max(1, _VALUES // max(1, row * multiple)) * multiple
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def whole(rows: Rows, shape: tuple[int, int], channels: int) -> np.ndarray:
    """All rows of a picture of ``shape`` (height, width) in one array, made band by band."""
    return stacked((rows(part) for part in bands(shape[0], shape[1] * channels)), shape[0])


def resize(rows: Rows, shape: tuple[int, int], size: tuple[int, int], channels: int) -> np.ndarray:
    """Bring a picture to a size: averaged by area where it shrinks, else interpolated linearly.

    Args:
        rows: Its rows as float32. Asked for every row once, from the top.
        shape: Height and width of the picture.
        size: Rows and columns wanted.
        channels: Values of a pixel, as far as the length of a band depends on them.

    Returns:
        float32 of the size, contiguous: what ``cv2.resize`` makes of all rows at once.
    """
    if shape == size:
        return whole(rows, shape, channels)
    (height, width), (down, across) = shape, size
    if height < down or width < across:
        return cv2.resize(rows(slice(0, height)), (across, down), interpolation=cv2.INTER_LINEAR)
    if height * width * channels <= _VALUES:
        return cv2.resize(rows(slice(0, height)), (across, down), interpolation=cv2.INTER_AREA)
    if _is_whole(height, down) and _is_whole(width, across):
        factor = height // down
        parts = bands(height, width * channels, factor)
        return stacked((_shrunk(rows(part), (part.stop - part.start) // factor, across) for part in parts), down)
    # OpenCV averages each row first, and then the averages of the rows: the second step is small.
    parts = bands(height, width * channels)
    flat = stacked((_factors(rows(part), across / width, _SAME) for part in parts), height)
    return _factors(flat, _SAME, down / height)


def resize_marks(marks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) of bool brought to a size: marked where at least half of a pixel is."""
    return resize(lambda part: marks[part].astype(np.float32), (marks.shape[0], marks.shape[1]), size, 1) >= 0.5


def _is_whole(length: int, number: int) -> bool:
    """Whether OpenCV takes the factor between two lengths for a whole number."""
    factor = 1.0 / (number / length)
    return abs(factor - round(factor)) < sys.float_info.epsilon


def _shrunk(image: np.ndarray, down: int, across: int) -> np.ndarray:
    return cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA)


def _factors(image: np.ndarray, across: float, down: float) -> np.ndarray:
    if {across, down} <= {1.0, _SAME}:
        return image
    return cv2.resize(image, None, fx=across, fy=down, interpolation=cv2.INTER_AREA)


def stacked(parts: Iterator[np.ndarray], height: int) -> np.ndarray:
    """Bands of a picture of ``height`` rows under one another, each copied into the whole as it comes."""
    found: np.ndarray | None = None
    top = 0
    for part in parts:
        if found is None:
            if len(part) == height:
                return np.ascontiguousarray(part)
            found = np.empty((height, *part.shape[1:]), part.dtype)
        found[top : top + len(part)] = part
        top += len(part)
    assert found is not None
    return found
