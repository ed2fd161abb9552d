"""Window an image for display: decoded once at its own size and depth, then shown through a movable window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from medanomaly.app.session.worklist import Item
from medanomaly.edge import video
from medanomaly.imaging.decode import read
from medanomaly.imaging.decoded_image import DecodedImage, three_channels
from medanomaly.imaging.intensity import window

#: Pictures are sent to the browser at this many pixels a side at most; larger ones are averaged down.
LARGEST = 1600
#: Longer side of a thumbnail in the list.
THUMBNAIL = 96

#: Of all greys; what fills fewer looks black or flat.
_SEEN = 0.25

#: Kinds that may hold more than 8 bits.
DEEP = ("DICOM", "PNG", "TIFF", "PNM")


@dataclass(frozen=True)
class Values:
    """What a window is put over.

    Args:
        low: The smallest value: modality values, such as HU of a CT, or stored values.
        high: The largest.
        middle: The 1st and the 99th percentile.
        filled: Whether what the file says leaves something to be seen: from its 1st to its 99th percentile at least a
            quarter of all greys.
    """

    low: float
    high: float
    middle: tuple[float, float]
    filled: bool


def deep(picture: DecodedImage) -> bool:
    """Whether a window makes sense: grey values of more than 8 bits."""
    pixels = picture.pixels
    return bool(pixels.ndim == 2 and pixels.dtype != np.uint8 and pixels.max() > pixels.min())


def values(raw: DecodedImage, shown: np.ndarray) -> Values:
    """What a deep image's window is put over.

    Args:
        raw: Its values, before any window.
        shown: What its file says of it, (H, W, 3) uint8.
    """
    low, high = (float(end) for end in np.percentile(_thin(raw.pixels), (1, 99)))
    return Values(float(raw.pixels.min()), float(raw.pixels.max()), (low, high), fills(shown))


def fills(shown: np.ndarray) -> bool:
    """Whether a picture (H, W, 3) uint8 uses enough of all greys to be seen."""
    low, high = np.percentile(_thin(shown[:, :, 0]), (1, 99))
    return bool(high - low >= _SEEN * 255)


def _thin(pixels: np.ndarray) -> np.ndarray:
    # Of 100 million pixels every tenth row and column tells the percentiles as well.
    step = max(1, round((pixels.size / 2**20) ** 0.5))
    return pixels[::step, ::step]


def display(picture: DecodedImage, chosen: tuple[float, float] | None = None) -> np.ndarray:
    """The picture of an image.

    Args:
        picture: The image as :func:`load` gives it; for a window of one's own, before any window.
        chosen: Centre and width of a window over its values; None as the file says: by its own window or VOI LUT, or
            its declared depth, and floats of no declared depth between their smallest and largest value.

    Returns:
        (H, W, 3) uint8, RGB, upright.
    """
    if chosen is not None:
        shown = window(picture.pixels, *chosen, "LINEAR_EXACT")
        unit = 1 - shown if picture.inverted else shown
    elif picture.depth is not None:
        if picture.pixels.dtype == np.uint8 and picture.depth == (0, 255) and not picture.inverted:
            return three_channels(picture.pixels)
        unit = picture.unit()
    else:
        low, high = float(picture.pixels.min()), float(picture.pixels.max())
        unit = (picture.pixels - low) / max(high - low, 1e-12)
        unit = 1 - unit if picture.inverted else unit
    return three_channels(np.rint(unit * 255).astype(np.uint8))


def load(item: Item, voi: bool = True) -> DecodedImage:
    """Read an image.

    Args:
        item: The image.
        voi: Whether a DICOM's own window is applied; without, its modality values come back.

    Raises:
        ImageError: if it cannot be read.
    """
    if item.frame is not None:
        return DecodedImage.of(video.frame_at(str(item.file.path), item.frame))
    return grey(read(item.address, voi=voi))


def grey(picture: DecodedImage) -> DecodedImage:
    """A picture of more than 8 bits with three equal channels, as a grey TIFF is read, with one; others stay."""
    pixels = picture.pixels
    if pixels.ndim == 3 and pixels.dtype != np.uint8 and bool((pixels == pixels[:, :, :1]).all()):
        return replace(picture, pixels=np.ascontiguousarray(pixels[:, :, 0]))
    return picture


def small(item: Item, largest: int) -> np.ndarray | None:
    """A large JPEG, decoded at a fraction of its size; None for all others.

    Returns:
        (H, W, 3) uint8, RGB, with at least ``largest`` pixels a side where the file has them.

    Raises:
        ImageError: if it cannot be read.
    """
    if item.file.kind.name != "JPEG":
        return None
    picture = read(item.address, reduction=lambda shape: next((k for k in (8, 4, 2) if max(shape) >= k * largest), 1))
    return three_channels(picture.pixels) if picture.pixels.dtype == np.uint8 else None


def reduced(picture: DecodedImage, largest: int) -> DecodedImage:
    """An image averaged by area to at most ``largest`` pixels a side; smaller ones stay. The values keep their kind."""
    return replace(picture, pixels=shrunk(picture.pixels, largest))


def shrunk(picture: np.ndarray, largest: int) -> np.ndarray:
    """A picture (H, W) or (H, W, C), averaged by area to at most ``largest`` pixels a side; smaller ones stay."""
    height, width = picture.shape[:2]
    factor = largest / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
