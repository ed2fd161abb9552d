"""Pixel AUROC and AUPRO in bounded memory: an image leaves histograms, not its pixels.

Areas are shares, and so are exact at both ends: 1 for a perfect map, 0 for an inverted one, never a rounding beyond.
Pixels are counted in integers. The share of a region that is missed is a count divided once by the region's size: it
never leaves [0, 1], and sums of such shares, with counts as weights, round to no more than the sum of the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

#: AUPRO is the area up to this false-positive rate (Bergmann et al., IJCV 2021, section 5.2).
FPR_LIMIT = 0.3
_BINS = 2048
#: Histograms are added up in 64 bit, this number of images at a time: a copy of all would double the memory.
_BLOCK = 64


class PixelCurves:
    """Histograms of anomaly maps against masks, for AUROC, AUPRO and their bootstrap.

    Bin edges are quantiles of the first batch joined with an even grid over (0, 1): the quantiles keep the order where
    most pixels lie, the grid in the tails. Values in one bin count as ties; the error is far below 1e-4.
    """

    def __init__(self) -> None:
        self._edges: torch.Tensor | None = None
        self._normal: list[np.ndarray] = []
        self._region_number: list[int] = []
        # Of images with regions alone: the others have none to find, and half of a test set is often such.
        self._abnormal: list[np.ndarray] = []
        self._missed: list[np.ndarray] = []

    def update(self, maps: torch.Tensor, masks: torch.Tensor) -> None:
        """Add images.

        Args:
            maps: (B, H, W), in (0, 1), higher is more abnormal.
            masks: (B, H, W) of bool, the truth.
        """
        import torch  # where maps are made, it is there; the histograms need numpy alone

        maps = maps.detach().float().cpu()
        if self._edges is None:
            sample = maps.flatten()
            sample = sample[:: max(1, len(sample) // 1_000_000)]
            quantiles = torch.from_numpy(np.quantile(sample.numpy(), np.linspace(0, 1, _BINS)).astype(np.float32))
            self._edges = torch.cat([quantiles, torch.linspace(0, 1, _BINS)]).unique()
        bins = len(self._edges) + 1
        levels = torch.bucketize(maps, self._edges, out_int32=True).numpy()
        for level, mask in zip(levels, masks.cpu().numpy().astype(bool), strict=True):
            self._normal.append(np.bincount(level[~mask], minlength=bins).astype(np.uint32))
            number, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            self._region_number.append(number - 1)
            if number > 1:
                inside = level[mask]
                self._abnormal.append(np.bincount(inside, minlength=bins).astype(np.uint32))
                self._missed.append(_missed(inside, regions[mask], bins))

    def __len__(self) -> int:
        """Number of images."""
        return len(self._normal)

    def stacked(self) -> PixelHistograms:
        """All images' histograms as arrays."""
        number = np.array(self._region_number, dtype=np.int64)
        normal, abnormal, missed = (
            np.stack(rows) if rows else np.zeros((0, 1), np.uint32)
            for rows in (self._normal, self._abnormal, self._missed)
        )
        return PixelHistograms(normal, abnormal, missed, number)


def _missed(level: np.ndarray, region: np.ndarray, bins: int) -> np.ndarray:
    """Sum over an image's regions of the share of the region that lies in no higher bin: (bins,) float64, rising.

    Regions of one size are counted together, so that the division is the only rounding: the last bin's value is the
    number of regions, exactly.

    Args:
        level: Bin of each marked pixel (n,).
        region: Region of each marked pixel (n,), from 1.
        bins: Number of bins.
    """
    size = np.bincount(region)[region]
    order = np.argsort(size, kind="stable")
    sizes, starts = np.unique(size[order], return_index=True)
    found = np.zeros(bins)
    for one, part in zip(sizes, np.split(level[order], starts[1:]), strict=True):
        found += np.cumsum(np.bincount(part, minlength=bins)) / one
    return found


class PixelHistograms:
    """Histograms of n images, k of which have marked regions.

    Args:
        normal: Unmarked pixels (n, bins), integers.
        abnormal: Marked pixels (k, bins) of the images with regions, integers.
        missed: Sum over each such image's regions of the share in no higher bin (k, bins), rising to its number.
        region_number: Regions of each image (n,), integers.
    """

    def __init__(self, normal: np.ndarray, abnormal: np.ndarray, missed: np.ndarray, region_number: np.ndarray) -> None:
        self.normal, self.abnormal, self.missed, self.region_number = normal, abnormal, missed, region_number

    @property
    def regions(self) -> np.ndarray:
        """Sum over each image's regions of the share that lies in each bin: (n, bins) float64, 0 without regions."""
        found = np.zeros(self.normal.shape)
        found[self.region_number > 0] = np.diff(self.missed, prepend=0, axis=1)
        return found

    def areas(self, weights: np.ndarray | None = None) -> tuple[float, float]:
        """AUROC and AUPRO together, for little more than the price of one.

        Args:
            weights: How often each image counts (n,), integers; once by default.

        Returns:
            Values in [0, 1]; NaN without marked or unmarked pixels.
        """
        counts = np.ones(len(self.region_number)) if weights is None else np.asarray(weights, dtype=np.float64)
        marked = self.region_number > 0
        negative, positive = _pooled(self.normal, counts), _pooled(self.abnormal, counts[marked])
        regions = float(counts @ self.region_number)
        if not regions or not negative.sum():
            return float("nan"), float("nan")
        missed = _pooled(self.missed, counts[marked]) / regions
        return _auroc(positive, negative), _aupro(missed, negative)

    def auroc(self, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve over all pixels, in [0, 1]; NaN without marked or unmarked pixels."""
        return self.areas(weights)[0]

    def aupro(self, weights: np.ndarray | None = None) -> float:
        """Area under the per-region-overlap curve up to a false-positive rate of 0.3, divided by 0.3; in [0, 1].

        The overlap is the mean over connected regions (8-neighbourhood) of the share of the region above the
        threshold (Bergmann et al., IJCV 2021, eq. 2). NaN without regions.
        """
        return self.areas(weights)[1]


def _pooled(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of histograms (k, bins), in 64 bit; integers stay exact."""
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), _BLOCK):
        total += weights[start : start + _BLOCK] @ rows[start : start + _BLOCK].astype(np.float64)
    return total


def _auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """From counts (bins,): the share of unmarked pixels below is divided first, so that it is 1 at most."""
    below = (np.cumsum(negative) - 0.5 * negative) / negative.sum()
    return float((positive * below).sum() / positive.sum())


def _aupro(missed: np.ndarray, negative: np.ndarray) -> float:
    """From the mean share of regions in no higher bin (bins,), and counts (bins,).

    The area above the curve is taken, in pixels: widths are counts, and what is left over of the limit is exact too.
    """
    alarms = np.append(0, np.cumsum(negative[::-1]))
    above = np.append(missed[::-1], 0)  # share that is missed where the bins from the top are flagged: none, one, …
    limit = FPR_LIMIT * negative.sum()
    beyond = int(np.searchsorted(alarms, limit, side="right"))
    inside, lost = alarms[:beyond], above[:beyond]
    rest = limit - inside[-1]
    last = lost[-1] - (lost[-1] - above[beyond]) * (rest / (alarms[beyond] - inside[-1]))
    area = (np.diff(inside) * (lost[:-1] + lost[1:]) / 2).sum() + rest * (lost[-1] + last) / 2
    return float(1 - area / limit)
