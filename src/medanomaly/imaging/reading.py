"""How an image is read: one record, made once, used in training and at the edge alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medanomaly.imaging.decode import ImageError, decode, decode_mask

INTENSITY_RULES = ("dtype", "minmax", "percentile")
COLOURS = ("rgb", "grey")


@dataclass(frozen=True)
class Reading:
    """The steps from a file to what a model sees: scale, crop, resize. The same record travels in the bundle's card.

    Args:
        size: Height and width in pixels of what the model sees.
        intensity: How stored values become [0, 1]: ``dtype`` divides by the largest value of the stored type (255 or
            65535; floats must lie in [0, 1] already); ``minmax`` stretches each image from its own minimum to its own
            maximum; ``percentile:low,high`` (default 1,99) stretches between two percentiles and clips beyond.
        field_of_view: ``none``, or ``crop:N``: the centred square of N pixels (N > 1) or of that share of the shorter
            side (N ≤ 1).
        colour: ``rgb``, or ``grey``: the luma of the three channels, repeated over them.
    """

    size: tuple[int, int]
    intensity: str = "dtype"
    field_of_view: str = "none"
    colour: str = "rgb"

    def __post_init__(self) -> None:
        """Check every field, so that a wrong option fails before any image is read."""
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be two positive numbers (height, width), not {self.size}")
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        if self.intensity.partition(":")[0] not in INTENSITY_RULES:
            raise ValueError(f"intensity must be one of {', '.join(INTENSITY_RULES)}, not '{self.intensity}'")
        if self.colour not in COLOURS:
            raise ValueError(f"colour must be one of {', '.join(COLOURS)}, not '{self.colour}'")
        self._percentiles()
        self._crop()

    def _percentiles(self) -> tuple[float, float]:
        name, _, text = self.intensity.partition(":")
        if name != "percentile":
            if text:
                raise ValueError(f"intensity '{name}' takes no parameter, got '{self.intensity}'")
            return 0.0, 100.0
        try:
            low, high = (float(part) for part in (text or "1,99").split(","))
        except ValueError:
            raise ValueError(f"intensity percentile is written percentile:1,99, not '{self.intensity}'") from None
        if not 0 <= low < high <= 100:
            raise ValueError(f"intensity percentile needs 0 <= low < high <= 100, not '{self.intensity}'")
        return low, high

    def _crop(self) -> float | None:
        name, _, text = self.field_of_view.partition(":")
        if name == "none" and not text:
            return None
        try:
            amount = float(text)
        except ValueError:
            amount = -1.0
        if name != "crop" or amount <= 0:
            raise ValueError(f"field_of_view must be none or crop:N with N > 0, not '{self.field_of_view}'")
        return amount

    def load(self, path: str | Path) -> np.ndarray:
        """Read a file as the model sees it.

        Returns:
            Array (H, W, 3), float32 in [0, 1].

        Raises:
            ImageError: if the file cannot be used; names the file and the remedy.
        """
        return self.prepare(decode(path), path)

    def prepare(self, image: np.ndarray, name: str | Path = "image") -> np.ndarray:
        """Scale, crop and resize a decoded image (H, W, 3) of uint8, uint16 or float32 to (h, w, 3) float32 in [0, 1].

        ``name`` is what errors call the image. Averaging by area is used to shrink and linear interpolation to
        enlarge.

        Raises:
            ImageError: if a float image leaves [0, 1] under ``dtype``, or the crop is larger than the image.
        """
        scaled = self._scale(self._cropped(image, name), name)
        if self.colour == "grey":
            scaled = np.repeat(cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        return np.clip(self._resize(scaled), 0.0, 1.0)

    def load_mask(self, path: str | Path, image_shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Read a mask through the same crop and size as its image: bool (H, W), marked where at least half is.

        Args:
            path: The mask's file; every pixel above zero is marked.
            image_shape: Height and width of the image it belongs to, for the check.

        Raises:
            ImageError: if it cannot be read or has another size than its image.
        """
        return self.prepare_mask(decode_mask(path), path, image_shape)

    def prepare_mask(
        self, mask: np.ndarray, name: str | Path = "mask", image_shape: tuple[int, ...] | None = None
    ) -> np.ndarray:
        """Crop and resize a mask (H, W) of bool as :meth:`load_mask` does."""
        if image_shape is not None and mask.shape[:2] != tuple(image_shape[:2]):
            raise ImageError(
                f"{name}: the mask is {mask.shape[1]}×{mask.shape[0]}, its image {image_shape[1]}×{image_shape[0]}. "
                "Export the mask at the image's size."
            )
        return self._resize(self._cropped(mask, name).astype(np.float32)) >= 0.5

    def _scale(self, image: np.ndarray, name: str | Path) -> np.ndarray:
        if self.intensity == "dtype":
            if image.dtype.kind != "f":
                return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
            if image.min() < 0 or image.max() > 1:
                raise ImageError(
                    f"{name}: float pixels from {image.min():g} to {image.max():g} leave [0, 1]. "
                    "Choose intensity minmax or percentile."
                )
            return image.astype(np.float32)
        low, high = (
            np.percentile(image, self._percentiles())
            if self.intensity.startswith("percentile")
            else (image.min(), image.max())
        )
        span = max(float(high) - float(low), 1e-12)  # a constant image becomes black
        return np.clip((image.astype(np.float32) - np.float32(low)) / np.float32(span), 0.0, 1.0)

    def _cropped(self, image: np.ndarray, name: str | Path) -> np.ndarray:
        amount = self._crop()
        if amount is None:
            return image
        height, width = image.shape[:2]
        side = round(amount * min(height, width)) if amount <= 1 else int(amount)
        if side < 1 or side > min(height, width):
            raise ImageError(f"{name}: {width}×{height} is too small for field_of_view '{self.field_of_view}'.")
        top, left = (height - side) // 2, (width - side) // 2
        return image[top : top + side, left : left + side]

    def _resize(self, image: np.ndarray) -> np.ndarray:
        if image.shape[:2] == self.size:
            return np.ascontiguousarray(image)
        shrinks = image.shape[0] >= self.size[0] and image.shape[1] >= self.size[1]
        return cv2.resize(
            image, (self.size[1], self.size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Reading:
        """A record written by :meth:`to_dict`."""
        return cls(**{**record, "size": tuple(record["size"])})
