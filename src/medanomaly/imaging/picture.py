"""A decoded image with what its file says of its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Picture:
    """Pixels as stored, and how to understand them.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB; uint8, uint16, int16 or float32, finite.
        depth: The values of black and of white by the file's declared depth; None where a file of floats declares
            none.
        shape: Height and width of the upright image in full, before any reduction in decoding.
        inverted: Whether the file shows low values bright (MONOCHROME1, "min is white"): ``depth`` speaks of the
            stored values, before the inversion.
    """

    pixels: np.ndarray
    depth: tuple[float, float] | None
    shape: tuple[int, int]
    inverted: bool = False

    @classmethod
    def of(cls, pixels: np.ndarray) -> Picture:
        """An array decoded elsewhere: integers span their type, floats declare nothing."""
        kind = pixels.dtype.kind
        depth = None if kind == "f" else (float(np.iinfo(pixels.dtype).min), float(np.iinfo(pixels.dtype).max))
        return cls(pixels, depth, (pixels.shape[0], pixels.shape[1]))

    def unit(self) -> np.ndarray:
        """The declared depth as [0, 1], float32, upright in polarity; values beyond are clipped. Needs a depth."""
        assert self.depth is not None
        black, white = self.depth
        unit = (self.pixels.astype(np.float32) - np.float32(black)) / np.float32(white - black)
        unit = np.clip(unit, 0.0, 1.0)
        return 1.0 - unit if self.inverted else unit


def three_channels(image: np.ndarray) -> np.ndarray:
    """(H, W) repeated to (H, W, 3); three channels stay as they are."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
