"""Image statistics: one number an image without a model, such as its mean or redness. A model has to rank better."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

#: Local variance is taken over squares of 5 pixels, of the image shrunk to 64: so films of any size compare.
_WINDOW, _SIDE = 5, 64


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def mean(image: np.ndarray) -> float:
    """Mean grey."""
    return float(_grey(image).mean())


def spread(image: np.ndarray) -> float:
    """Standard deviation of grey."""
    return float(_grey(image).std())


def local_contrast(image: np.ndarray) -> float:
    """Minus the mean log of the local variance of grey: high where texture is lost, as in consolidated lung."""
    grey: np.ndarray = _grey(image).astype(np.float64)
    factor = _SIDE / min(grey.shape)
    if factor < 1:
        size = (max(_SIDE, round(grey.shape[1] * factor)), max(_SIDE, round(grey.shape[0] * factor)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    average = cv2.blur(grey, (_WINDOW, _WINDOW))
    variance = np.maximum(cv2.blur(grey * grey, (_WINDOW, _WINDOW)) - average * average, 0)
    return float(-np.log(variance + 1e-4).mean())


def sharpness(image: np.ndarray) -> float:
    """Variance of the Laplacian of grey."""
    return float(cv2.Laplacian(_grey(image).astype(np.float64), cv2.CV_64F).var())


def redness(image: np.ndarray) -> float:
    """95th percentile of log(R/G), with one grey level of 255 added to both."""
    red, green = image[:, :, 0].astype(np.float64), image[:, :, 1].astype(np.float64)
    return float(np.percentile(np.log((red + 1 / 255) / (green + 1 / 255)), 95))


def dark_corners(image: np.ndarray) -> float:
    """Share of pixels below 10 of 255 in the four corner squares of a quarter of the shorter side."""
    grey, side = _grey(image), max(1, min(image.shape[:2]) // 4)
    corners = [grey[:side, :side], grey[:side, -side:], grey[-side:, :side], grey[-side:, -side:]]
    return float((np.concatenate([corner.ravel() for corner in corners]) < 10 / 255).mean())


#: Name to function of an image (H, W, 3), float32 in [0, 1].
IMAGE_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": mean,
    "spread": spread,
    "local contrast": local_contrast,
    "sharpness": sharpness,
    "redness": redness,
    "dark corners": dark_corners,
}

#: Behind the names of statistics that are taken of what an intensity rule shows, beside those of the data.
SCALED = " (as scaled)"
