"""Minimum, maximum, histogram and percentiles of a picture, without a copy in a wider type."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor

import cv2
import numpy as np

from medanomaly.imaging.banded_resize import Rows, bands

#: Values that OpenCV counts at a time: its counts are floats, exact up to 2**24.
_COUNTED = 2**22


def extremes(rows: Rows, shape: tuple[int, ...]) -> tuple[float, float]:
    """Minimum and maximum of a picture of ``shape`` (height, width, ...), taken over its rows."""
    parts = [rows(part) for part in bands(shape[0], int(np.prod(shape[1:])))]
    return float(min(part.min() for part in parts)), float(max(part.max() for part in parts))


def histogram(rows: Rows, shape: tuple[int, ...], inside: np.ndarray | None = None) -> np.ndarray:
    """How often each value of uint8 or uint16 occurs in a picture's rows.

    Args:
        rows: The picture's rows (n, W).
        shape: Height and width.
        inside: (H, W) of bool, the pixels that are counted; None for all.

    Returns:
        (256,) or (65536,) int64.
    """
    total: np.ndarray | None = None
    for part in bands(shape[0], int(np.prod(shape[1:]))):
        values = rows(part)
        counts = counted(values if inside is None else values[inside[part]])
        total = counts if total is None else total + counts
    assert total is not None
    return total


def counted(values: np.ndarray) -> np.ndarray:
    """How often each value of an array of uint8 or uint16 occurs: (256,) or (65536,) int64."""
    number = int(np.iinfo(values.dtype).max) + 1
    total = np.zeros(number, np.int64)
    for part in _flat(values):
        total += cv2.calcHist([part], [0], None, [number], [0, number]).ravel().astype(np.int64)
    return total


def _flat(values: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of an array, each contiguous and of one axis; no copy of the whole."""
    row = int(np.prod(values.shape[1:]))
    if row == 0:
        return
    step = max(1, _COUNTED // row)
    for top in range(0, len(values), step):
        flat = np.ascontiguousarray(values[top : top + step]).reshape(-1)
        for start in range(0, len(flat), _COUNTED):
            yield flat[start : start + _COUNTED]


def percentiles(values: np.ndarray, which: tuple[float, float], spent: bool = False) -> tuple[float, float]:
    """``np.percentile(values, which)``, bit for bit.

    numpy sorts a copy. Of uint8 and uint16 the histogram says as much, in a fraction of the time.

    Args:
        values: Any shape.
        which: Two shares in percent.
        spent: Whether nobody needs the values afterwards: floats are sorted where they lie then.
    """
    if values.dtype not in (np.uint8, np.uint16) or values.size == 0:
        low, high = np.percentile(values, which, overwrite_input=spent)
        return float(low), float(high)
    below = np.cumsum(counted(values))
    return _ranked(below, which[0]), _ranked(below, which[1])


def _ranked(below: np.ndarray, percent: float) -> float:
    """The percentile of values of which ``below[v]`` are at most v, interpolated as numpy does it."""
    last = int(below[-1]) - 1
    place = last * (percent / 100)
    first = min(floor(place), last)
    share = place - first
    low, high = (float(np.searchsorted(below, rank, side="right")) for rank in (first, min(first + 1, last)))
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
