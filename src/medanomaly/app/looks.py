"""One image looked at closely: scored again for its heat map, and drawn for the browser."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.app import picture
from medanomaly.app.layers import Layers
from medanomaly.app.worklist import Item
from medanomaly.edge import Detector, Frame, Result, video

#: A frame that is sought again may be another one where a video's index is wrong; its score tells.
_SAME = 1e-3


@dataclass(frozen=True)
class Look:
    """What the viewer shows of one image.

    Args:
        result: Of the detector.
        layers: Heat map and outline.
        again: Whether the score is the list's.
    """

    result: Result
    layers: Layers
    again: bool

    @classmethod
    def at(cls, detector: Detector, item: Item) -> Look:
        """Score an image once more: lists keep numbers, and no heat maps.

        Raises:
            ImageError: if it cannot be read any more.
        """
        if item.frame is None:
            result = detector(item.address)
        else:
            pixels = video.frame_at(str(item.file.path), item.frame)
            result = detector(Frame(item.address, pixels, item.time))
        known = item.raw_score
        again = known is None or abs(result.raw_score - known) <= _SAME * max(abs(known), 1e-6)
        return cls(result, Layers.of(result, picture.LARGEST), again)


def payload(item: Item, look: Look, chosen: tuple[float, float] | None) -> dict[str, Any]:
    """An image with its layers for the browser's viewer; ``chosen`` as for :func:`medanomaly.app.picture.display`.

    Raises:
        ImageError: if it cannot be read.
    """
    shown = picture.shrunk(picture.display(item, chosen), picture.LARGEST)
    marked = "" if look.layers.marked is None else f", {look.layers.marked:.1%} of it marked"
    return {
        "key": item.address,
        "image": data_uri(shown),
        "heat": None if look.layers.heat is None else data_uri(look.layers.heat),
        "path": look.layers.path,
        "width": shown.shape[1],
        "height": shown.shape[0],
        "alt": f"{item.name}: {look.result.decision}, score {look.result.score:.3f}{marked}",
    }


def data_uri(shown: np.ndarray) -> str:
    """A picture (H, W, 3) or (H, W, 4) uint8 as the address of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(picture.png(shown)).decode()}"
