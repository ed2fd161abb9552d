"""Draw heat maps and outlines over an image."""

from __future__ import annotations

import cv2
import numpy as np

from medanomaly import palette
from medanomaly._moved import old_names

__getattr__ = old_names(__name__)


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a heat map over an image; where the heat is low the image stays as it is.

    Args:
        image: (H, W, 3), float in [0, 1], RGB.
        heat: (h, w), float in (0, 1), 0.5 at the pixel threshold; resized to the image where it differs.

    Returns:
        (H, W, 3) uint8, RGB. Opacity grows from none at 0.35 to 0.75 at 0.85; the colours are those of "viridis",
        which stands out from mucosa and greys and keeps its order for colour-blind readers and in print.
    """
    heat = np.asarray(heat, dtype=np.float32)
    if heat.shape != image.shape[:2]:
        heat = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colours, opacity = _layer(heat)
    opacity *= np.float32(0.75)
    return _to_bytes(image * (1 - opacity[:, :, None]) + colours.astype(np.float32) / 255 * opacity[:, :, None])


def heat_layer(heat: np.ndarray) -> np.ndarray:
    """A heat map as a picture to lay over its image, in the colours of :func:`overlay`.

    Args:
        heat: (H, W), float in [0, 1], 0.5 at the pixel threshold.

    Returns:
        (H, W, 4) uint8, RGB and opacity, from 0 at 0.35 to 255 at 0.85: who shows it chooses how much of that.
    """
    colours, opacity = _layer(np.asarray(heat, dtype=np.float32))
    return np.dstack([colours, _to_bytes(opacity)])


def _layer(heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (H, W, 3) uint8, RGB, and opacity (H, W) in [0, 1], of a heat map (H, W) float32."""
    colours = cv2.applyColorMap(_to_bytes(heat), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    return colours, np.clip((heat - np.float32(0.35)) / np.float32(0.5), 0, 1)


def outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the border of a mask (H, W) of bool into an image (H, W, 3), float in [0, 1]; returns uint8 RGB."""
    picture = np.ascontiguousarray(_to_bytes(image))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, palette.rgb(palette.OUTLINE), 1)
    return picture
