"""A decoded image with what its file says of its values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np


@dataclass(frozen=True)
class DecodedImage:
    """Pixels as stored, and how to understand them.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB; uint8, uint16, int16 or float32, finite.
        depth: The values of black and of white by the file's declared depth; None where a file of floats declares
            none.
        shape: Height and width of the upright image in full, before any reduction in decoding.
        inverted: Whether the file shows low values bright (MONOCHROME1, "min is white"): ``depth`` speaks of the
            stored values, before the inversion.
        lossy: Whether it was compressed with loss, so that values near an edge are noise.
        no_image: Why no model may take it for an image, as the end of a sentence that begins with the file's name;
            empty for an image.
    """

    pixels: np.ndarray
    depth: tuple[float, float] | None
    shape: tuple[int, int]
    inverted: bool = False
    lossy: bool = False
    no_image: str = ""

    @classmethod
    def of(cls, pixels: np.ndarray) -> DecodedImage:
        """An array decoded elsewhere: integers span their type, floats declare nothing."""
        kind = pixels.dtype.kind
        depth = None if kind == "f" else (float(np.iinfo(pixels.dtype).min), float(np.iinfo(pixels.dtype).max))
        return cls(pixels, depth, (pixels.shape[0], pixels.shape[1]))

    def unit(self, rows: slice = slice(None)) -> np.ndarray:
        """The declared depth as [0, 1], float32, upright in polarity; values beyond are clipped. Needs a depth.

        Args:
            rows: Which rows; all by default.
        """
        assert self.depth is not None
        if self.pixels.dtype == np.uint8:
            return cv2.LUT(self.pixels[rows], _units(self.depth, self.inverted))
        return _unit(self.pixels[rows], self.depth, self.inverted)


def _unit(pixels: np.ndarray, depth: tuple[float, float], inverted: bool) -> np.ndarray:
    black, white = depth
    unit = pixels.astype(np.float32)
    unit -= np.float32(black)
    unit /= np.float32(white - black)
    np.clip(unit, 0.0, 1.0, out=unit)
    return np.subtract(np.float32(1), unit, out=unit) if inverted else unit


@lru_cache(maxsize=16)
def _units(depth: tuple[float, float], inverted: bool) -> np.ndarray:
    """:func:`_unit` of each of the 256 values of uint8: looking them up takes a tenth of the time."""
    return _unit(np.arange(256, dtype=np.uint8), depth, inverted)


def three_channels(image: np.ndarray) -> np.ndarray:
    """(H, W) repeated to (H, W, 3); three channels stay as they are."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
