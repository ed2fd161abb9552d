"""Input of a bundle's graph: number type and axis order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Types by their name in the card: numpy's type, and the number that stands for 1.
TYPES: dict[str, tuple[type, int]] = {
    "float32": (np.float32, 1),
    "uint8": (np.uint8, 255),
    "uint16": (np.uint16, 65535),
}
LAYOUTS = ("NHWC", "NCHW")


@dataclass(frozen=True)
class InputSpec:
    """What the graph takes.

    Args:
        type: ``float32`` in [0, 1], ``uint8`` or ``uint16``; the graph scales the last two to [0, 1] itself.
        layout: ``NHWC``: (1, H, W, 3); ``NCHW``: (1, 3, H, W), as bundles of layout 2 and before have it.

    Raises:
        ValueError: if this version knows no such form.
    """

    type: str = "float32"
    layout: str = "NHWC"

    def __post_init__(self) -> None:
        """Refuse what this version cannot give."""
        if self.type not in TYPES or self.layout not in LAYOUTS:
            raise ValueError(
                f"the graph takes {self.type} in {self.layout}, which this version lacks. Update medanomaly"
            )

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> InputSpec:
        """The form that a card names; float32 in NCHW where it names none.

        Raises:
            KeyError, TypeError, ValueError: if it is incomplete or unknown.
        """
        kept = card.get("input")
        return cls("float32", "NCHW") if kept is None else cls(kept["type"], kept["layout"])

    def record(self) -> dict[str, Any]:
        """The card's entry ``input``: ``type``, ``layout``, and ``one``, the number that stands for 1."""
        return {"type": self.type, "layout": self.layout, "one": TYPES[self.type][1]}

    def shape(self, size: tuple[int, int]) -> list[int]:
        """Shape of the graph's input for a size (H, W)."""
        return [1, *size, 3] if self.layout == "NHWC" else [1, 3, *size]

    def tensor(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W, 3) float32 in [0, 1] as the graph takes it, rounded to the nearest number of the type."""
        kind, one = TYPES[self.type]
        if one != 1:
            image = (image * np.float32(one) + np.float32(0.5)).astype(kind)
        batch = image[None] if self.layout == "NHWC" else image.transpose(2, 0, 1)[None]
        return np.ascontiguousarray(batch, dtype=kind)
