"""FROC in bounded memory: are the marked regions found, and at how many false detections an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: Thresholds on maps in (0, 1), where 0.5 is the operating point.
THRESHOLDS = tuple(np.linspace(0.01, 0.99, 99).round(2))


@dataclass(frozen=True)
class FrocCurve:
    """One point a threshold, by rising threshold."""

    threshold: np.ndarray  #: (t,)
    sensitivity: np.ndarray  #: (t,), share of regions hit, in [0, 1]; NaN without regions
    false_positives: np.ndarray  #: (t,), detections per normal image, at least 0; NaN without normal images


class Froc:
    """Free-response ROC of anomaly maps (Bunch and others, Proc. SPIE 127, 1977; Chakraborty, Med. Phys. 16, 1989).

    A detection is a connected component (8-neighbourhood) of the map above a threshold. It hits a region if one of
    its highest pixels lies in it: a component that merely spreads over a region hits nothing. A region is found if a
    detection hits it. False positives are counted on normal images, where no detection can be right. An image leaves
    two integers a threshold, not its pixels.

    Args:
        thresholds: Rising thresholds on maps; each costs a pass over every image.

    Raises:
        ValueError: if thresholds are none, or do not rise.
    """

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS) -> None:
        self.thresholds = np.asarray(thresholds, dtype=np.float32)
        if not len(self.thresholds) or (np.diff(self.thresholds) <= 0).any():
            raise ValueError("thresholds must be at least one, and rise")
        self._hits: list[np.ndarray] = []
        self._false: list[np.ndarray] = []
        self._regions: list[int] = []

    def __len__(self) -> int:
        """Number of images."""
        return len(self._regions)

    def update(self, maps: np.ndarray, masks: np.ndarray) -> None:
        """Add images.

        Args:
            maps: (B, H, W), higher is more abnormal.
            masks: (B, H, W), the truth: bool, where each connected component is a region; or integers that number the
                regions from 1 (boxes that touch, say), 0 being none. An image with no region counts as normal.

        Raises:
            ValueError: if shapes differ or a map holds NaN.
        """
        maps, masks = np.asarray(maps, dtype=np.float32), np.asarray(masks)
        if maps.ndim != 3 or maps.shape != masks.shape:
            raise ValueError(f"maps {maps.shape} and masks {masks.shape} must be (B, H, W) alike")
        if np.isnan(maps).any():
            raise ValueError("a map holds NaN")
        for heat, mask in zip(maps, masks, strict=True):
            regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1] if mask.dtype == bool else mask
            numbers = np.setdiff1d(regions, [0])
            hits, false = (np.zeros(len(self.thresholds), dtype=np.int32) for _ in range(2))
            # Highest first, so that the pixels above a threshold are the first ones.
            order = np.argsort(-heat, axis=None, kind="stable")
            height, region = heat.ravel()[order], regions.ravel()[order]
            for i, threshold in enumerate(self.thresholds):
                above = int(np.searchsorted(-height, -threshold, side="left"))
                if not above:
                    break
                number, component = cv2.connectedComponents((heat > threshold).astype(np.uint8), connectivity=8)
                if not len(numbers):
                    false[i] = number - 1
                    continue
                owner = component.ravel()[order[:above]]
                peak = np.empty(number, dtype=np.float32)
                peak[owner[::-1]] = height[:above][::-1]  # the last to be written is the highest
                hits[i] = len(np.setdiff1d(region[:above][height[:above] == peak[owner]], [0]))
            self._hits.append(hits)
            self._false.append(false)
            self._regions.append(len(numbers))

    def curve(self, weights: np.ndarray | None = None) -> FrocCurve:
        """Sensitivity and false positives at each threshold.

        Args:
            weights: How often each image counts (n,); once by default.
        """
        regions = np.array(self._regions, dtype=np.float64)
        w = np.ones(len(regions)) if weights is None else np.asarray(weights, dtype=np.float64)
        shape = (len(regions), len(self.thresholds))
        hits, false = (w @ np.array(rows, dtype=np.float64).reshape(shape) for rows in (self._hits, self._false))
        marked, normal = (w * regions).sum(), (w * (regions == 0)).sum()
        nothing = np.full(len(self.thresholds), np.nan)
        return FrocCurve(
            self.thresholds.astype(np.float64),
            hits / marked if marked else nothing,
            false / normal if normal else nothing,
        )

    def sensitivity_at(self, false_positives: float, weights: np.ndarray | None = None) -> float:
        """Largest share of regions found at ``false_positives`` or fewer false detections per normal image.

        Args:
            false_positives: Largest allowed number of detections per normal image, at least 0.
            weights: How often each image counts (n,), for :class:`~medanomaly.metrics.bootstrap.GroupBootstrap`.

        Returns:
            Value in [0, 1]; 0 if every threshold gives more; NaN without regions or without normal images.
        """
        curve = self.curve(weights)
        if np.isnan(curve.sensitivity).any() or np.isnan(curve.false_positives).any():
            return float("nan")
        return float(curve.sensitivity[curve.false_positives <= false_positives].max(initial=0.0))
