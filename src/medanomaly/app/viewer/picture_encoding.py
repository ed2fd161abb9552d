"""Encode pictures for the browser: colour as JPEG or PNG, grey of more than 8 bits as raw 16-bit values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import cv2
import numpy as np

from medanomaly.imaging.decoded_image import DecodedImage

#: Up to this size in pixels a picture goes as PNG, pixel by pixel as it is; larger ones as JPEG.
_EXACT = 2**17
_QUALITY = 95


@dataclass(frozen=True)
class Encoded:
    """A picture as it is sent.

    Args:
        content: Its bytes.
        kind: Their media type.
        headers: What a reader of raw values must know besides.
    """

    content: bytes
    kind: str
    headers: dict[str, str] = field(default_factory=dict)


def encoded(picture: np.ndarray) -> Encoded:
    """A picture (H, W, 3) uint8, RGB: PNG where it is small, else JPEG of quality 95 with full colour."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if picture.shape[0] * picture.shape[1] <= _EXACT:
        return Encoded(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes(), "image/png")
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, _QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return Encoded(cv2.imencode(".jpg", bgr, settings)[1].tobytes(), "image/jpeg")


def exact(picture: np.ndarray) -> Encoded:
    """A picture (H, W, 3) RGB or (H, W, 4) with opacity, uint8, as PNG: what the browser shows is what was given."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    written = cv2.imencode(".png", cv2.cvtColor(picture, order), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return Encoded(written.tobytes(), "image/png")


def jpeg(picture: np.ndarray, quality: int = 80) -> Encoded:
    """A picture (H, W, 3) uint8, RGB, as a small JPEG."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return Encoded(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes(), "image/jpeg")


def raw_values(picture: DecodedImage, low: float, high: float) -> Encoded:
    """A grey image's values as 16 bits each, little-endian, row by row.

    The header ``X-Picture`` holds JSON: ``width``, ``height``, ``slope`` and ``intercept``, so that value = slope ×
    stored + intercept, and ``inverted``, whether low values are bright. Integers that span less than 65,536 keep
    every value; others are put on 65,536 steps between ``low`` and ``high``.

    Args:
        picture: (H, W) of any kind but uint8.
        low: The smallest value of the image in full.
        high: The largest.
    """
    pixels = picture.pixels
    whole = high - low <= 65535 and float(low).is_integer() and bool(np.all(np.mod(pixels, 1) == 0))
    slope = 1.0 if whole else max(high - low, 1e-12) / 65535
    stored = np.rint((pixels.astype(np.float64) - low) / slope)
    stored = np.clip(stored, 0, 65535).astype("<u2")
    told = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "slope": slope,
        "intercept": low,
        "inverted": picture.inverted,
    }
    return Encoded(stored.tobytes(), "application/octet-stream", {"X-Picture": json.dumps(told)})
