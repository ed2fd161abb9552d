"""Dice at the pixel threshold, from four counts an image instead of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of n images, each (n,) of integers."""

    both: np.ndarray  #: marked by the model and by the mask
    marked: np.ndarray  #: marked by the model
    truth: np.ndarray  #: marked by the mask; 0 for a normal image
    pixels: np.ndarray  #: all

    def per_image(self, weights: np.ndarray | None = None) -> float:
        """Mean Dice coefficient of the images with a mask (Dice, Ecology 26, 1945, 297–302).

        Each image counts alike, whatever the lesion's size. Normal images are left out: with an empty mask Dice is 0
        for a single marked pixel and undefined for none, so that a mean over them speaks of false alarms, not of
        outlines (Maier-Hein and others, Nature Methods 21, 2024, 195–212, on empty references).

        Args:
            weights: How often each image counts (n,); once by default.

        Returns:
            Value in [0, 1]; NaN without a mask.
        """
        with_mask = self.truth > 0
        w = (np.ones(len(self.truth)) if weights is None else weights)[with_mask]
        if w.sum() == 0:
            return float("nan")
        dice = 2 * self.both[with_mask] / (self.marked[with_mask] + self.truth[with_mask])
        return float((w * dice).sum() / w.sum())

    def pooled(self, weights: np.ndarray | None = None) -> float:
        """Dice coefficient of all pixels of the images with a mask, as if they were one image.

        Large lesions decide. In [0, 1]; NaN without a mask.
        """
        w = (self.truth > 0) * (1 if weights is None else weights)
        either = (w * (self.marked + self.truth)).sum()
        return float(2 * (w * self.both).sum() / either) if either else float("nan")

    def marked_share(self, weights: np.ndarray | None = None) -> float:
        """Share of the pixels of normal images that the model marks, in [0, 1]; NaN without normal images."""
        w = (self.truth == 0) * (1 if weights is None else weights)
        pixels = (w * self.pixels).sum()
        return float((w * self.marked).sum() / pixels) if pixels else float("nan")


class OverlapCounts:
    """Counts the pixels of batches as they pass by."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int]] = []

    def update(self, marked: np.ndarray, masks: np.ndarray) -> None:
        """Add images.

        Args:
            marked: (B, H, W) of bool, what the model marks.
            masks: (B, H, W) of bool, the truth.

        Raises:
            ValueError: if the shapes differ.
        """
        marked, masks = np.asarray(marked, dtype=bool), np.asarray(masks, dtype=bool)
        if marked.ndim != 3 or marked.shape != masks.shape:
            raise ValueError(f"marked {marked.shape} and masks {masks.shape} must be (B, H, W) alike")
        for ours, truth in zip(marked, masks, strict=True):
            counts = (ours & truth, ours, truth)
            self._rows.append((*(int(np.count_nonzero(part)) for part in counts), ours.size))

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    def stacked(self) -> Overlap:
        """All images' counts as arrays."""
        return Overlap(*np.array(self._rows, dtype=np.int64).reshape(-1, 4).T)
