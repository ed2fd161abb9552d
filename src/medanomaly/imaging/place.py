"""Where a prepared picture lies in its file's: the way back for heat maps and masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medanomaly.imaging.bands import resize_marks
from medanomaly.imaging.field_of_view import View


@dataclass(frozen=True, eq=False)
class Place:
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
    def of(cls, view: View, shape: tuple[int, int], size: tuple[int, int]) -> Place:
        """The place of a view of an image of ``shape``, prepared at ``size`` (height, width)."""
        inside = None if view.inside is None else resize_marks(view.inside, size)
        return cls(shape, view.top, view.left, view.height, view.width, inside)

    def back(self, seen: np.ndarray, outside: float) -> np.ndarray:
        """Lay an array of what the model saw over the full image.

        Args:
            seen: (h, w) float32, such as a raw map.
            outside: The value where the model saw nothing.

        Returns:
            (H, W) float32 at the full image's size, interpolated linearly, or averaged by area where it shrinks.
        """
        size = (self.height, self.width)
        part = _resize(np.asarray(seen, dtype=np.float32), size)
        if self.inside is not None:
            part = np.where(_resize(self.inside.astype(np.float32), size) >= 0.5, part, np.float32(outside))
        if size == self.shape:
            return part
        full = np.full(self.shape, outside, dtype=np.float32)
        full[self.top : self.top + self.height, self.left : self.left + self.width] = part
        return full


def _resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if array.shape == size:
        return array
    shrinks = array.shape[0] >= size[0] and array.shape[1] >= size[1]
    return cv2.resize(array, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
