"""Pixel metrics in bounded memory: each image leaves three histograms, not its pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch

#: AUPRO is the area up to this false-positive rate (Bergmann et al., IJCV 2021, section 5.2).
FPR_LIMIT = 0.3
_BINS = 2048


class PixelCurves:
    """Histograms of anomaly maps against masks, for AUROC, AUPRO and their bootstrap.

    Bin edges are quantiles of the first batch joined with an even grid over (0, 1): the quantiles keep the order where
    most pixels lie, the grid in the tails. Values in one bin count as ties; the error is far below 1e-4.
    """

    def __init__(self) -> None:
        self._edges: torch.Tensor | None = None
        self._normal: list[np.ndarray] = []
        self._abnormal: list[np.ndarray] = []
        self._regions: list[np.ndarray] = []  # per image: sum over its regions of (histogram / region's size)
        self._region_number: list[int] = []

    def update(self, maps: torch.Tensor, masks: torch.Tensor) -> None:
        """Add images.

        Args:
            maps: (B, H, W), in (0, 1), higher is more abnormal.
            masks: (B, H, W) of bool, the truth.
        """
        maps = maps.detach().float().cpu()
        if self._edges is None:
            sample = maps.flatten()
            sample = sample[:: max(1, len(sample) // 1_000_000)]
            quantiles = torch.from_numpy(np.quantile(sample.numpy(), np.linspace(0, 1, _BINS)).astype(np.float32))
            self._edges = torch.cat([quantiles, torch.linspace(0, 1, _BINS)]).unique()
        bins = len(self._edges) + 1
        levels = torch.bucketize(maps, self._edges, out_int32=True).numpy()
        for level, mask in zip(levels, masks.cpu().numpy().astype(bool), strict=True):
            self._normal.append(np.bincount(level[~mask], minlength=bins).astype(np.float32))
            self._abnormal.append(np.bincount(level[mask], minlength=bins).astype(np.float32))
            number, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            inside = regions[mask]  # each pixel counts 1 / its region's size
            sizes = np.bincount(inside, minlength=number)
            shares = np.bincount(level[mask], weights=1 / sizes[inside], minlength=bins)
            self._regions.append(shares.astype(np.float32))
            self._region_number.append(number - 1)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._normal)

    def stacked(self) -> PixelHistograms:
        """All images' histograms as arrays."""
        return PixelHistograms(
            np.stack(self._normal), np.stack(self._abnormal), np.stack(self._regions), np.array(self._region_number)
        )


class PixelHistograms:
    """Histograms of n images: ``normal``, ``abnormal`` and ``regions`` (n, bins), ``region_number`` (n,)."""

    def __init__(
        self, normal: np.ndarray, abnormal: np.ndarray, regions: np.ndarray, region_number: np.ndarray
    ) -> None:
        self.normal, self.abnormal, self.regions, self.region_number = normal, abnormal, regions, region_number

    def _pooled(self, histograms: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        if weights is None:
            return histograms.sum(axis=0, dtype=np.float64)
        return (weights.astype(np.float32) @ histograms).astype(np.float64)

    def auroc(self, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve over all pixels; NaN without marked or unmarked pixels."""
        positive, negative = self._pooled(self.abnormal, weights), self._pooled(self.normal, weights)
        total = positive.sum() * negative.sum()
        if total == 0:
            return float("nan")
        return float((positive * (np.cumsum(negative) - 0.5 * negative)).sum() / total)

    def aupro(self, weights: np.ndarray | None = None) -> float:
        """Area under the per-region-overlap curve up to a false-positive rate of 0.3, divided by 0.3.

        The overlap is the mean over connected regions (8-neighbourhood) of the share of the region above the
        threshold (Bergmann et al., IJCV 2021, eq. 2). NaN without regions.
        """
        number = self.region_number.sum() if weights is None else (weights * self.region_number).sum()
        negative = self._pooled(self.normal, weights)
        if number == 0 or negative.sum() == 0:
            return float("nan")
        fpr = np.append(0, np.cumsum(negative[::-1]) / negative.sum())
        pro = np.append(0, np.cumsum(self._pooled(self.regions, weights)[::-1]) / number)
        inside = fpr <= FPR_LIMIT
        last = np.interp(FPR_LIMIT, fpr, pro)
        return float(np.trapezoid(np.append(pro[inside], last), np.append(fpr[inside], FPR_LIMIT)) / FPR_LIMIT)
