"""An image as a person sees it: at its own size and depth, through a window that can be moved."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medanomaly.app.worklist import Item
from medanomaly.edge import video
from medanomaly.imaging.decode import read
from medanomaly.imaging.intensity import window
from medanomaly.imaging.picture import Picture, three_channels

#: Pictures are sent to the browser at this many pixels a side at most; larger ones are averaged down.
LARGEST = 1600
#: Longer side of a thumbnail in the list.
THUMBNAIL = 96

#: Of all greys; what fills fewer looks black or flat.
_SEEN = 0.25

FILE, FULL, PERCENTILES, OWN = "as the file says", "full range", "1st to 99th percentile", "own window"


#: Kinds that may hold more than 8 bits.
DEEP = ("DICOM", "PNG", "TIFF", "PNM")


@dataclass(frozen=True)
class Values:
    """What a window is put over.

    Args:
        picture: Modality values, such as HU of a CT, or stored values.
        low: The smallest value.
        high: The largest.
        filled: Whether what the file says leaves something to be seen: from its 1st to its 99th percentile at least a
            quarter of all greys.
    """

    picture: Picture
    low: float
    high: float
    filled: bool

    @property
    def suggested(self) -> tuple[float, float] | None:
        """The window to begin with: None, as the file says, unless that leaves too little to be seen."""
        if not self.adjustable or self.filled:
            return None
        return self.preset(PERCENTILES)

    @property
    def adjustable(self) -> bool:
        """Whether a window makes sense: grey values of more than 8 bits."""
        return self.picture.pixels.ndim == 2 and self.picture.pixels.dtype != np.uint8 and self.high > self.low

    def preset(self, name: str) -> tuple[float, float]:
        """Centre and width of a preset, FULL or PERCENTILES."""
        low, high = self.low, self.high
        if name == PERCENTILES:
            low, high = (float(end) for end in np.percentile(self.picture.pixels, (1, 99)))
        return (low + high) / 2, max(high - low, 1e-6)


def values(item: Item) -> Values:
    """What an image's file holds, before any window.

    Raises:
        ImageError: if it cannot be read.
    """
    picture = _read(item, voi=False)
    filled = picture.pixels.dtype == np.uint8 or _fills(display(item))
    return Values(picture, float(picture.pixels.min()), float(picture.pixels.max()), filled)


def _fills(shown: np.ndarray) -> bool:
    low, high = np.percentile(shown[::2, ::2], (1, 99))
    return bool(high - low >= _SEEN * 255)


def display(item: Item, chosen: tuple[float, float] | None = None) -> np.ndarray:
    """The picture of an image.

    Args:
        item: The image.
        chosen: Centre and width of a window over its values; None as the file says: by its own window or VOI LUT, or
            its declared depth, and floats of no declared depth between their smallest and largest value.

    Returns:
        (H, W, 3) uint8, RGB, upright.

    Raises:
        ImageError: if it cannot be read.
    """
    picture = _read(item, voi=chosen is None)
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


def _read(item: Item, voi: bool) -> Picture:
    if item.frame is not None:
        return Picture.of(video.frame_at(str(item.file.path), item.frame))
    return read(item.address, voi=voi)


def shrunk(picture: np.ndarray, largest: int) -> np.ndarray:
    """A picture (H, W) or (H, W, C), averaged by area to at most so many pixels a side; smaller ones stay."""
    height, width = picture.shape[:2]
    factor = largest / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def png(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) or (H, W, 4) uint8 as PNG."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(picture, order), [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()


def thumbnail(item: Item) -> bytes:
    """A small JPEG of an image.

    Raises:
        ImageError: if it cannot be read.
    """
    small = shrunk(_quick(item), THUMBNAIL)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def _quick(item: Item) -> np.ndarray:
    if item.file.kind.name != "JPEG":
        shown = display(item)
        return shown if item.file.kind.name not in DEEP or _fills(shown) else display(item, values(item).suggested)
    # Decoded at a fraction of its size where it is large.
    picture = read(item.address, reduction=lambda shape: next((k for k in (8, 4, 2) if max(shape) >= k * THUMBNAIL), 1))
    return three_channels(picture.pixels)
