"""Kernel density estimation in the few directions in which a code varies most."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from medanomaly.models.density import MIN_STD, FittedDensity, finite

logger = logging.getLogger(__name__)

BANDWIDTHS = ("scott", "likelihood")
#: Training images wanted for each principal direction, below which there are fewer directions.
_PER_COMPONENT = 5
#: Multiples of Scott's bandwidth among which the likelihood chooses, and points that it is taken over.
_FACTORS = np.geomspace(0.25, 2.0, 13)
_LEAVE_OUT = 1000


class KernelDensity(FittedDensity):
    """Gaussian kernels on standardised principal components of the code.

    In many dimensions every point is alone and kernels say nothing, so the code is standardised and projected on the
    directions that explain ``variance`` of it, at most ``components``; each is divided by its standard deviation. What
    lies outside them does not count. More training images than ``points`` are replaced by cluster centres, weighted by
    their share, each kernel as much wider as its cluster: the exported graph stays small.

    Args:
        components: Most principal components.
        variance: Share of the standardised code's variance that they explain, in (0, 1].
        bandwidth: ``scott``, n^(-1/(k+4)) for n images and k components (Scott 1992), or ``likelihood``, the multiple
            of it with the highest leave-one-out likelihood.
        points: Most support points.

    Raises:
        ValueError: for an option out of range.
    """

    std: torch.Tensor
    axes: torch.Tensor
    support: torch.Tensor
    precision: torch.Tensor
    log_weight: torch.Tensor

    def __init__(self, components: int = 8, variance: float = 0.9, bandwidth: str = "scott", points: int = 256) -> None:
        super().__init__()
        if bandwidth not in BANDWIDTHS:
            raise ValueError(f"kde_bandwidth must be one of {', '.join(BANDWIDTHS)}, not '{bandwidth}'")
        if min(components, points) < 1 or not 0 < variance <= 1:
            raise ValueError(
                "need kde_components, kde_points >= 1, 0 < kde_variance <= 1; got "
                f"kde_components={components}, kde_points={points}, kde_variance={variance}"
            )
        self.components, self.variance, self.bandwidth, self.points = components, variance, bandwidth, points
        self._empty("mean", "std", "axes", "support", "precision", "log_weight")

    def fit(self, codes: torch.Tensor) -> None:
        """Fit to codes (n, d). Warns where there are too few images for the asked number of components.

        Raises:
            ValueError: for fewer than two codes, or values that are not finite.
        """
        array = finite(codes)
        mean, std = array.mean(axis=0), np.maximum(array.std(axis=0), MIN_STD)
        scores, axes = self._projected((array - mean) / std)
        count = axes.shape[1]
        width = self._bandwidth(scores)
        support, weights, spread = _condensed(scores, self.points)
        # A cluster's own spread widens its kernel; without it the gaps between centres would look empty.
        squared = width**2 + spread
        log_weight = np.log(weights) - 0.5 * count * np.log(2 * math.pi * squared)
        self._set(mean=mean, std=std, axes=axes, support=support, precision=1 / squared, log_weight=log_weight)

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """Log density (n,) of the projected codes (n, d)."""
        scores = ((codes - self.mean) / self.std) @ self.axes
        # keepdim: OpenVINO 2026.4 multiplies by a vector wrongly what a sum has just taken from three axes to two.
        squared = (scores[:, None, :] - self.support[None]).square().sum(dim=2, keepdim=True)[..., 0]
        terms = self.log_weight - 0.5 * squared * self.precision
        # Log-sum-exp by hand: exporters write it without the shift by the largest term, and far codes underflow.
        peak = terms.amax(dim=1, keepdim=True)
        return peak[:, 0] + (terms - peak).exp().sum(dim=1).log()

    def _projected(self, standardised: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, k) of unit variance, and the axes (d, k) that give them."""
        number, length = standardised.shape
        limit = min(self.components, length, max(1, number // _PER_COMPONENT))
        if length > number or limit < min(self.components, length):
            logger.warning(
                "The code has %d numbers and there are %d training images: the kernel density is reduced to at most "
                "%d principal components.",
                length,
                number,
                limit,
            )
        if not standardised.any():  # all training images are the same
            return np.zeros((number, 1)), np.eye(length, 1) / MIN_STD
        pca = PCA(limit, random_state=0).fit(standardised)
        explained = np.cumsum(pca.explained_variance_ratio_)
        count = min(int(np.searchsorted(explained, self.variance)) + 1, limit)
        raw = standardised @ pca.components_[:count].T
        scale = np.maximum(raw.std(axis=0, ddof=1), MIN_STD)
        return raw / scale, pca.components_[:count].T / scale

    def _bandwidth(self, scores: np.ndarray) -> float:
        number, count = scores.shape
        scott = float(number ** (-1 / (count + 4)))
        if self.bandwidth == "scott":
            return scott
        chosen = np.random.default_rng(0).permutation(number)[:_LEAVE_OUT]
        some = scores[chosen]
        squared = np.square(some[:, None, :] - some[None]).sum(axis=2)
        np.fill_diagonal(squared, np.inf)
        # The bandwidth of the fewer points is wider by Scott's law; the factor carries over.
        widths = len(some) ** (-1 / (count + 4)) * _FACTORS
        likelihood = [logsumexp(-0.5 * squared / h**2, axis=1).mean() - count * math.log(h) for h in widths]
        return scott * float(_FACTORS[int(np.argmax(likelihood))])


def _condensed(scores: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At most ``points`` support points (m, k), their weights (m,), and the variance within each by direction (m,)."""
    distinct, counts = np.unique(scores, axis=0, return_counts=True)
    if len(distinct) <= points:
        return distinct, counts / len(scores), np.zeros(len(distinct))
    found = KMeans(points, n_init=1, random_state=0).fit(scores)
    counts = np.bincount(found.labels_, minlength=points)
    within = np.square(scores - found.cluster_centers_[found.labels_]).mean(axis=1)
    spread = np.bincount(found.labels_, within, minlength=points) / counts.clip(1)
    kept = counts > 0
    return found.cluster_centers_[kept], counts[kept] / len(scores), spread[kept]
