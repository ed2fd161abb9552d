"""Find the field of view: a crop, an endoscope's round view, a breast."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from medanomaly._moved import old_names
from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.intensity import LUMA
from medanomaly.imaging.limits import ImageError
from medanomaly.spec import Spec

__getattr__ = old_names(__name__)

#: Pixels a side, at most, of the copy on which views are found: enough for an outline, and quick.
_SIDE = 512

#: The dark border of an endoscope's frame lies below this share of white, compression noise included.
_DARK = 0.06

#: A breast is brighter than this share of the way from a film's dark to its bright end. Rules that follow the histogram
#: (triangle, Otsu) split dense from fatty tissue, or take in the film's fog.
_TISSUE = 0.18

#: Top, bottom, left and right in fractions of pixels.
Edges = tuple[float, float, float, float]

#: A view smaller than this share of the picture is no view.
_SMALLEST = 0.02


@dataclass(frozen=True)
class CropBox:
    """Where to look, in pixels of the full image.

    Args:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
        inside: (height, width) of bool, False where the box shows no patient; None where all of it counts.
    """

    top: int
    left: int
    height: int
    width: int
    inside: np.ndarray | None = None

    def cut(self, array: np.ndarray) -> np.ndarray:
        """The box of an array (H, W, ...) of the full image's height and width."""
        return array[self.top : self.top + self.height, self.left : self.left + self.width]

    def reduced(self, array: np.ndarray, factor: int) -> tuple[np.ndarray, Edges]:
        """The box of an array whose pixels are ``factor`` wide, with all pixels that it touches.

        Returns:
            The part of the array, and where in it the box starts and ends: top, bottom, left and right, in its pixels.
        """
        top, bottom = self.top / factor, (self.top + self.height) / factor
        left, right = self.left / factor, (self.left + self.width) / factor
        row, column = int(top), int(left)
        part = array[row : math.ceil(bottom), column : math.ceil(right)]
        return part, (top - row, bottom - row, left - column, right - column)


@dataclass(frozen=True)
class FieldOfView:
    """A parsed rule: ``none``, ``crop:N``, ``circle`` or ``breast``."""

    name: str
    amount: float = 1.0

    @classmethod
    def parse(cls, text: str) -> FieldOfView:
        """Read a rule as written in a configuration.

        Raises:
            ValueError: if it is no rule.
        """
        spec = Spec.parse(text)
        if spec.name in ("none", "circle", "breast") and spec.argument is None:
            return cls(spec.name)
        try:
            amount = spec.number()
        except ValueError:
            amount = -1.0
        if spec.name != "crop" or not 0 < amount < np.inf:
            raise ValueError(f"field_of_view must be none, crop:N with N > 0, circle or breast, not '{text}'")
        return cls(spec.name, amount)

    @property
    def sees(self) -> bool:
        """Whether the view depends on what the picture shows, not on its size alone."""
        return self.name in ("circle", "breast")

    def box(self, shape: tuple[int, ...], name: str | Path) -> CropBox:
        """The view by size alone (``none``, ``crop``) of an image of ``shape`` (height, width, ...).

        Raises:
            ImageError: if the crop is larger than the image.
        """
        height, width = shape[:2]
        if self.name == "none":
            return CropBox(0, 0, height, width)
        side = round(self.amount * min(height, width)) if self.amount <= 1 else int(self.amount)
        if side < 1 or side > min(height, width):
            raise ImageError(f"{name}: {width}×{height} is too small for field_of_view 'crop:{self.amount:g}'.")
        return CropBox((height - side) // 2, (width - side) // 2, side, side)

    def find(self, picture: DecodedImage, name: str | Path) -> CropBox:
        """The view of a picture.

        Raises:
            ImageError: if there is none to be seen, or the crop is larger than the image.
        """
        if not self.sees:
            return self.box(picture.shape, name)
        grey = _small(picture)
        found = _circle(grey) if self.name == "circle" else _breast(grey)
        if found is None or found.mean() < _SMALLEST:
            raise ImageError(f"{name}: shows no {_LOOKED_FOR[self.name]}. Leave it out, or choose field_of_view none.")
        height, width = picture.shape
        inside = cv2.resize(found.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_LINEAR) > 127
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        box = inside[top:bottom, left:right]
        return CropBox(int(top), int(left), int(bottom - top), int(right - left), None if box.all() else box)


_LOOKED_FOR = {"circle": "bright view within a dark border", "breast": "breast on a dark background"}


def _small(picture: DecodedImage) -> np.ndarray:
    """Grey in [0, 1], float32, at most ``_SIDE`` pixels a side: by depth, or from minimum to maximum without one."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if picture.depth is None:
        low, high = float(pixels.min()), float(pixels.max())
        unit = (pixels - np.float32(low)) / np.float32(max(high - low, 1e-12))
    else:
        unit = DecodedImage(pixels, picture.depth, picture.shape, picture.inverted).unit()
    return unit @ LUMA if unit.ndim == 3 else unit


def _largest(bright: np.ndarray) -> np.ndarray | None:
    """The largest connected part of a bool array, or None."""
    count, labels, about, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8), connectivity=4)
    return labels == 1 + int(about[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else None


def _disc(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter | 1, diameter | 1))


def _circle(grey: np.ndarray) -> np.ndarray | None:
    # Opening cuts off letters that touch the view; the hull closes over a dark lumen, and every view is convex.
    bright = cv2.medianBlur((grey * 255).astype(np.uint8), 3) > _DARK * 255
    opened = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, _disc(max(grey.shape) // 50 + 1))
    view = _largest(opened)
    if view is None:
        return None
    points = cv2.findNonZero(view.astype(np.uint8))
    hull = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    # Its rim is half dark: a minimum taken inside must be tissue's. The picture's own edges stay.
    return cv2.erode(hull, np.ones((3, 3), np.uint8)).astype(bool)


def _breast(grey: np.ndarray) -> np.ndarray | None:
    low, high = np.percentile(grey, (0.5, 99.5))
    stretched = np.clip((grey - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    bright = (cv2.GaussianBlur(stretched, (0, 0), max(grey.shape) / 200) > _TISSUE).astype(np.uint8)
    # Opening parts labels and strips of tape from the breast; padding keeps it whole at the film's edge.
    pad = max(grey.shape) // 16
    padded = cv2.copyMakeBorder(bright, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, _disc(max(grey.shape) // 20))[pad:-pad, pad:-pad]
    breast = _largest(opened)
    if breast is None:
        return None
    outlines, _ = cv2.findContours(breast.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(grey.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled.astype(bool)
