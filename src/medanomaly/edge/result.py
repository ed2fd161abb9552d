"""Inputs and results of a detector's stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from medanomaly.decision.score import to_unit
from medanomaly.imaging import Placement


@dataclass(frozen=True, eq=False)
class Frame:
    """An image that was decoded elsewhere, such as a frame of a video.

    Args:
        name: What results and errors call it.
        pixels: (H, W, 3) of uint8, uint16 or float32, RGB.
        time: Seconds into the video; None for other images.
    """

    name: str
    pixels: np.ndarray
    time: float | None = None


@dataclass(frozen=True)
class Failure:
    """An input that could not be scored, and why.

    Args:
        input: Path, or the name given to an array.
        error: What is wrong, and what to do.
        time: Seconds into the video; None for other inputs.
    """

    input: str
    error: str
    time: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What the model says of one image. Heat maps and masks are computed when they are asked for.

    Args:
        input: Path, or the name given to an array.
        raw_score: The model's own score, any range; higher is more abnormal.
        score: In (0, 1), 0.5 at the operating point.
        abnormal: The decision: whether ``raw_score`` is above the threshold, or for a two-sided rule its distance from
            the centre.
        image: (H, W, 3) float32 in [0, 1], as the model saw it.
        raw_map: (H, W) float32, any range, higher is more abnormal; None if the model gives no map.
        pixel: Threshold of raw map values and the scale of :func:`medanomaly.decision.score.to_unit`; None without.
        parts: What the raw score is made of, by name; empty for a model with a single score.
        p_value: Of the rule ``conformal``, in (0, 1]: how unusual the score is among normal validation images, see
            :func:`medanomaly.decision.conformal.p_value`; None for other rules.
        place: Where ``image`` lies in the file's picture; None for an image that came prepared.
        time: Seconds into the video; None for other inputs.
        seconds: Wall time from the start of its reading to its score; in a stream, waiting for a free core and for the
            other images of its group included.
    """

    input: str
    raw_score: float
    score: float
    abnormal: bool
    image: np.ndarray
    raw_map: np.ndarray | None = None
    pixel: tuple[np.float32, np.float32] | None = None
    parts: dict[str, float] = field(default_factory=dict)
    p_value: float | None = None
    place: Placement | None = None
    time: float | None = None
    seconds: float = 0.0

    @property
    def decision(self) -> str:
        """``abnormal`` or ``normal``."""
        return "abnormal" if self.abnormal else "normal"

    @property
    def finite(self) -> bool:
        """Whether all of its scores are numbers; a broken graph or image may give others."""
        p_value = () if self.p_value is None else (self.p_value,)
        return all(map(math.isfinite, (self.raw_score, self.score, *p_value, *self.parts.values())))

    @property
    def heat(self) -> np.ndarray | None:
        """(H, W) float32 in (0, 1) at the model's size, 0.5 at the pixel threshold; None without map or threshold."""
        return None if self.raw_map is None or self.pixel is None else to_unit(self.raw_map, *self.pixel)

    @property
    def mask(self) -> np.ndarray | None:
        """(H, W) of bool at the model's size, pixels above the pixel threshold; None likewise."""
        return None if self.raw_map is None or self.pixel is None else self.raw_map > self.pixel[0]

    @property
    def original_size(self) -> tuple[int, int]:
        """Height and width of the file's upright picture; of ``image`` if that came prepared."""
        return self.place.shape if self.place else (self.image.shape[0], self.image.shape[1])

    def heat_at_original(self) -> np.ndarray | None:
        """The heat map at :attr:`original_size`: float32 in [0, 1), 0 where the model saw nothing; None likewise."""
        return self._at_original(_unit, np.float32)

    def map_at_original(self) -> np.ndarray | None:
        """:meth:`heat_at_original` in 16 bits: (H, W) uint16, value · 65535; None likewise."""
        return self._at_original(lambda raw, pixel: np.rint(_unit(raw, pixel) * 65535), np.uint16)

    def mask_at_original(self) -> np.ndarray | None:
        """The mask at :attr:`original_size`: bool, False where the model saw nothing; None likewise."""
        return self._at_original(lambda raw, pixel: raw > pixel[0], np.bool_)

    def _at_original(
        self, step: Callable[[np.ndarray, tuple[np.float32, np.float32]], np.ndarray], dtype: type[np.generic]
    ) -> np.ndarray | None:
        """What a step makes of the raw map at the original size: 0 where the model saw nothing.

        The raw map is enlarged, and not the heat map: so mask and heat map agree at every pixel. It is enlarged piece
        by piece: a whole one of a large image takes four times the memory of its mask.
        """
        if self.raw_map is None or self.pixel is None:
            return None
        if self.place is None:
            return step(self.raw_map, self.pixel).astype(dtype)
        full = np.zeros(self.place.shape, dtype)
        for box, raw in self.place.parts(self.raw_map, -np.inf):
            full[box] = step(raw, self.pixel)
        return full


def _unit(raw: np.ndarray, pixel: tuple[np.float32, np.float32]) -> np.ndarray:
    seen = np.isfinite(raw)
    return np.where(seen, to_unit(np.where(seen, raw, pixel[0]), *pixel), np.float32(0))
