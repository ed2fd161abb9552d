"""Pixels for image statistics and duplicates: as stored, and as the intensity rule takes them.

A file's own window is part of neither, unless the reading's intensity rule starts from what the window shows: what a
window cuts off, the model may see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from medanomaly.imaging import Preprocessing, decode
from medanomaly.imaging.decode import read
from medanomaly.imaging.decoded_image import DecodedImage

#: Shares of pixels that are left out at either end: a dead pixel does not make an image bright.
_ENDS = (0.1, 99.9)
#: An image that fills less of its depth than this looks black, white or flat.
_SHALLOW = 0.1


def pictures(module: Any) -> Callable[[str, bool], DecodedImage]:
    """How a data module's images are read, before its intensity rule.

    Args:
        module: A data module of ours, or of anomalib's, whose addresses are files.

    Returns:
        A function of an address and whether a DICOM file's own window or VOI LUT is applied. It raises ``ImageError``.
    """
    own: Callable[[str], np.ndarray] = getattr(module, "decode", decode)
    decodes = getattr(module, "decodes", own is not decode)

    def picture(address: str, voi: bool) -> DecodedImage:
        return DecodedImage.of(own(address)) if decodes else read(address, voi=voi)

    return picture


def stored(picture: DecodedImage) -> np.ndarray:
    """The values of a picture as one array whatever its container: (H, W), or (H, W, 3) where the channels differ."""
    pixels = picture.pixels
    if pixels.ndim == 3 and (pixels[:, :, :1] == pixels).all():
        pixels = pixels[:, :, 0]
    # Negative where low values are bright: black on white is not white on black.
    values = pixels.astype(np.float32)
    return np.float32(0) - values if picture.inverted else values  # 0 stays 0, and becomes no -0


def digest(values: np.ndarray) -> str | None:
    """SHA-256 (64 hex digits) of an image's values and shape; None for a blank one, which is nobody's."""
    if not values.size or values.min() == values.max():
        return None
    return hashlib.sha256(f"{values.dtype}{values.shape}".encode() + values.tobytes()).hexdigest()


def shallow(picture: DecodedImage) -> bool:
    """Whether a picture of more than 8 bits uses less than a tenth of its depth, so that little is left of it."""
    if picture.depth is None or picture.pixels.dtype == np.uint8:
        return False
    black, white = picture.depth
    if 1 < white - black <= 255:  # 8 bits in a wider type
        return False
    low, high = np.percentile(picture.pixels, _ENDS)
    return bool(high - low < _SHALLOW * (white - black))


def plain_and_scaled(picture: DecodedImage, reading: Preprocessing, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture in the field of view that the model sees, at its own size and in its own colours.

    Args:
        picture: As the reading's rule takes it, see :attr:`medanomaly.imaging.Preprocessing.voi`.
        reading: How the model sees it.
        name: What errors call it.

    Returns:
        (h, w, 3) float32 in [0, 1] by the declared depth; and likewise as the intensity rule scales it, None where
        that is the same.

    Raises:
        ImageError: if the field of view does not fit, or cannot be found.
    """
    return reading.native(picture, name), None if reading.voi else reading.native(picture, name, scaled=True)
