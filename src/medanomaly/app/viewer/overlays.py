"""Overlays of an image: the heat map as a picture, the mask's outline as a path."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from medanomaly.app.viewer.window_level import shrunk
from medanomaly.edge import Result
from medanomaly.imaging import Placement, heat_layer


@dataclass(frozen=True)
class Layers:
    """Layers of one image, at the size of the shown picture.

    Args:
        shape: Height and width of the shown picture.
        heat: (H, W, 4) uint8, RGB and opacity; None if the model draws none.
        path: Outline of the marked pixels as an SVG path in pixels; empty if none are.
        marked: Share of the image's pixels that are marked, in [0, 1]; None if the model draws no map.
    """

    shape: tuple[int, int]
    heat: np.ndarray | None = None
    path: str = ""
    marked: float | None = None

    @classmethod
    def of(cls, result: Result, largest: int) -> Layers:
        """Of a result, for a picture of at most ``largest`` pixels a side."""
        result = _smaller(result, largest)
        heat, mask = result.heat_at_original(), result.mask_at_original()
        if heat is None or mask is None:
            return cls(result.original_size)
        small = shrunk(mask.astype(np.float32), largest) >= 0.5
        return cls(small.shape, heat_layer(shrunk(heat, largest)), outline_path(small), float(mask.mean()))


def _smaller(result: Result, largest: int) -> Result:
    """A result whose image was at most so large: of 100 million pixels the map alone would take 400 MB."""
    place = result.place
    if place is None or max(place.shape) <= largest:
        return result
    factor = largest / max(place.shape)
    shape = (max(1, round(place.shape[0] * factor)), max(1, round(place.shape[1] * factor)))
    top, left = min(round(place.top * factor), shape[0] - 1), min(round(place.left * factor), shape[1] - 1)
    bottom = min(shape[0], max(top + 1, round((place.top + place.height) * factor)))
    right = min(shape[1], max(left + 1, round((place.left + place.width) * factor)))
    return replace(result, place=Placement(shape, top, left, bottom - top, right - left, place.inside))


def outline_path(mask: np.ndarray) -> str:
    """The outlines of a mask (H, W) of bool, holes included, as an SVG path through the borders of pixels."""
    # Twice as large, and then half a pixel back: contours run through centres of pixels, borders lie between them.
    doubled = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(
        "M" + "L".join(f"{(x + 0.5) / 2:g} {(y + 0.5) / 2:g}" for x, y in contour.reshape(-1, 2)) + "Z"
        for contour in contours
    )
