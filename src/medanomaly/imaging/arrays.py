"""Check arrays that were decoded elsewhere, and say what to pass in place of odd ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.limits import ImageError

_PASS = "Pass (H, W, 3) RGB or (H, W) grey of uint8 (0 to 255), uint16 (0 to 65535) or float (0 to 1)."


def picture_of(image: Any, name: str | Path, by_value: bool = False) -> DecodedImage:
    """Understand an array as a picture, or say what to pass.

    Plain are uint8 and uint16, which span their type, and floats of any width. Other integers have no declared white:
    a picture of 0 to 255 in int64 is as likely as one of 12 bits. They are taken where the values alone count
    (``by_value``), and are then as good as the smallest type that holds them.

    Args:
        image: (H, W, 3), (H, W, 1) or (H, W).
        name: What errors call it.
        by_value: Whether the intensity rule takes values as they are: ``minmax``, ``percentile``, ``window``,
            ``equalise``.

    Raises:
        ImageError: for all else: another shape or type, no pixels, NaN, infinity, masked pixels.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{name}: is a {type(image).__name__}, not a numpy array. {_PASS}")
    if np.ma.isMaskedArray(image) and np.ma.is_masked(image):
        raise ImageError(f"{name}: has masked pixels. Fill them first: image.filled(value)")
    pixels = _shaped(np.asarray(image), name)
    native = pixels.dtype.newbyteorder("=")
    if native.kind == "f":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float32, copy=False)
        if not np.isfinite(pixels).all():
            raise ImageError(f"{name}: holds NaN or infinite pixels. Replace them before use.")
        return DecodedImage.of(pixels)
    if native in (np.uint8, np.uint16):
        return DecodedImage.of(pixels.astype(native, copy=False))
    if native.kind not in "iu":
        raise ImageError(f"{name}: is an array of {native}. {_PASS}")
    if not by_value:
        raise ImageError(
            f"{name}: is an array of {native}, which does not say which value is white. {_PASS} "
            "Intensity minmax, percentile, window and equalise take any integers."
        )
    low, high = int(pixels.min()), int(pixels.max())
    types = (np.uint8, np.uint16, np.int16)
    small = next((kind for kind in types if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), np.float32)
    return DecodedImage(pixels.astype(small), None, (pixels.shape[0], pixels.shape[1]))


def _shaped(image: np.ndarray, name: str | Path) -> np.ndarray:
    shape = "×".join(map(str, image.shape)) or "no axis"
    if image.size == 0:
        raise ImageError(f"{name}: has no pixels ({shape}). {_PASS}")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3):
        return image
    if image.ndim == 3 and image.shape[2] == 1:
        return image[:, :, 0]
    if image.ndim == 3 and image.shape[2] == 4:
        raise ImageError(f"{name}: has four channels ({shape}). Drop alpha first: image[:, :, :3]")
    if image.ndim == 3 and image.shape[0] in (1, 3):
        raise ImageError(f"{name}: has its channels first ({shape}). Pass image.transpose(1, 2, 0).")
    if image.ndim == 4:
        raise ImageError(f"{name}: has four axes ({shape}). Pass one image at a time, or a list of them to batch.")
    raise ImageError(f"{name}: has the shape {shape}. {_PASS}")


def mask_of(mask: Any, name: str | Path) -> np.ndarray:
    """A mask as (H, W) of bool: integers are marked where they are not 0.

    Raises:
        ImageError: if it is no array (H, W) of bool or integers.
    """
    plain = isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.size > 0 and mask.dtype.kind in "biu"
    if not plain:
        what = f"an array of {mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
        raise ImageError(f"{name}: is {what}. Pass a mask as an array (H, W) of bool.")
    return mask if mask.dtype == np.bool_ else mask != 0
