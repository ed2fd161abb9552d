"""Average by area from edges that lie within pixels; OpenCV's own starts and ends between pixels."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


def shrink(image: np.ndarray, edges: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """Average the part of an image between ``edges`` over ``size`` rows and columns of equal area.

    A JPEG decoded at an eighth has pixels of eight, and a crop rarely starts at a multiple of eight: rounded to whole
    pixels it would move, and the picture with it.

    Args:
        image: (H, W) or (H, W, 3), float32.
        edges: Top, bottom, left and right, in pixels of the image.
        size: Rows and columns wanted, at most as many as lie between the edges.

    Returns:
        float32 of the size wanted.
    """
    if all(edge == int(edge) for edge in edges):
        top, bottom, left, right = map(int, edges)
        part = image[top:bottom, left:right]
        # OpenCV is right here, and several times as fast.
        return part if part.shape[:2] == size else cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA)
    rows = _weights(image.shape[0], edges[0], edges[1], size[0])
    columns = _weights(image.shape[1], edges[2], edges[3], size[1])
    flat = rows @ image.reshape(image.shape[0], -1)
    across = flat.reshape(size[0], image.shape[1], -1).transpose(0, 2, 1) @ columns.T
    return np.ascontiguousarray(across.transpose(0, 2, 1)).reshape(*size, *image.shape[2:])


@lru_cache(maxsize=64)
def _weights(length: int, start: float, end: float, number: int) -> np.ndarray:
    """(number, length) float32: the share that each of ``length`` pixels has in each average; rows sum to 1."""
    borders = np.linspace(start, end, number + 1)
    pixel = np.arange(length)
    overlap = np.minimum(borders[1:, None], pixel + 1) - np.maximum(borders[:-1, None], pixel)
    weights = np.clip(overlap, 0.0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
