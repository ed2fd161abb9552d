"""Placement of a prepared image in its file's: maps heat maps and masks back to the original."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from medanomaly.imaging.banded_resize import resize_marks
from medanomaly.imaging.field_of_view import CropBox

#: Values of a strip, about; a smaller image is one strip.
_VALUES = 2**20
#: Strips begin at multiples of this number of columns: OpenCV's widest instructions take fewer at a time.
_TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Placement:
    """The part of an upright full image that a model saw, in pixels of that image.

    Args:
        shape: Height and width of the full image.
        top: First row of the part.
        left: First column.
        height: Rows.
        width: Columns.
        inside: (h, w) of bool at the size of what the model sees, False where it shows no patient; None where all of
            it counts. Kept small, because results are kept by the thousand.
    """

    shape: tuple[int, int]
    top: int
    left: int
    height: int
    width: int
    inside: np.ndarray | None = None

    @classmethod
    def of(cls, view: CropBox, shape: tuple[int, int], size: tuple[int, int]) -> Placement:
        """The place of a view of an image of ``shape``, prepared at ``size`` (height, width)."""
        inside = None if view.inside is None else resize_marks(view.inside, size)
        return cls(shape, view.top, view.left, view.height, view.width, inside)

    def to_original(self, seen: np.ndarray, outside: float) -> np.ndarray:
        """Lay an array of what the model saw over the full image.

        Args:
            seen: (h, w) float32, such as a raw map.
            outside: The value where the model saw nothing.

        Returns:
            (H, W) float32 at the full image's size, interpolated linearly, or averaged by area where it shrinks.
        """
        full = np.full(self.shape, outside, dtype=np.float32)
        for box, part in self.parts(seen, outside):
            full[box] = part
        return full

    def parts(self, seen: np.ndarray, outside: float) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
        """:meth:`back` piece by piece, so that what is made of a large image's values never needs them all at once.

        Yields:
            Rows and columns of the full image, and their values; what no piece covers has the value ``outside``.
        """
        seen, size = np.asarray(seen, dtype=np.float32), (self.height, self.width)
        rows = slice(self.top, self.top + self.height)
        pieces = _strips(seen, size)
        inside = None if self.inside is None else _strips(self.inside.astype(np.float32), size)
        for columns, piece in pieces:
            if inside is not None:
                piece = np.where(next(inside)[1] >= 0.5, piece, np.float32(outside))
            yield (rows, slice(self.left + columns.start, self.left + columns.stop)), piece


def _strips(array: np.ndarray, size: tuple[int, int]) -> Iterator[tuple[slice, np.ndarray]]:
    """An array brought to a size, in strips of columns where it grows large: the same values, strip by strip.

    OpenCV interpolates along the rows first, and then between them, each column for itself.
    """
    (height, width), (down, across) = array.shape, size
    if down * across <= _VALUES or down < height or across < width or not np.isfinite(array).all():
        yield slice(0, across), _resize(array, size)
        return
    wide = _resize(array, (height, across))
    step = max(_TOGETHER, _VALUES // down // _TOGETHER * _TOGETHER)
    # A single column is interpolated by other instructions, which may round otherwise: the last strip has at least two.
    starts = [start for start in range(0, across, step) if start == 0 or across - start > 1]
    for start, stop in zip(starts, [*starts[1:], across], strict=True):
        yield slice(start, stop), _resize(np.ascontiguousarray(wide[:, start:stop]), (down, stop - start))


def _resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if array.shape == size:
        return array
    shrinks = array.shape[0] >= size[0] and array.shape[1] >= size[1]
    return cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
