"""Metrics of scores and decisions, with intervals. Pure functions of numpy arrays; undefined is NaN, never 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Two-sided 95 % point of the standard normal distribution.
_Z95 = 1.959963984540054


class Ranking:
    """Raw scores sorted once, so that metrics of many bootstrap draws cost a pass each.

    Args:
        scores: Raw scores (n,), any range; higher is more abnormal.
        abnormal: Truth (n,) of bool.

    Raises:
        ValueError: if shapes differ or a score is NaN or infinite.
    """

    def __init__(self, scores: np.ndarray, abnormal: np.ndarray) -> None:
        scores, self.abnormal = np.asarray(scores), np.asarray(abnormal, dtype=bool)
        if scores.ndim != 1 or scores.shape != self.abnormal.shape:
            raise ValueError(f"scores {scores.shape} and abnormal {self.abnormal.shape} must be vectors of one length")
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            raise ValueError(f"{len(bad)} scores are NaN or infinite, the first at position {bad[0]}")
        distinct, self._level = np.unique(scores, return_inverse=True)
        self._levels = len(distinct)

    def _per_level(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        w = np.ones(len(self._level)) if weights is None else weights
        positive = np.bincount(self._level, w * self.abnormal, self._levels)
        return positive, np.bincount(self._level, w * ~self.abnormal, self._levels)

    def auroc(self, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve: the chance that an abnormal image outranks a normal one, ties counting half.

        Args:
            weights: How often each image counts (n,); once by default.

        Returns:
            Value in [0, 1]; NaN if a class is missing.
        """
        positive, negative = self._per_level(weights)
        total = positive.sum() * negative.sum()
        if total == 0:
            return float("nan")
        below = np.cumsum(negative) - negative
        return float((positive * (below + 0.5 * negative)).sum() / total)

    def average_precision(self, weights: np.ndarray | None = None) -> float:
        """Average precision: the sum of precision times the step in recall, over falling thresholds.

        Returns:
            Value in [0, 1]; NaN if no image is abnormal.
        """
        positive, negative = (part[::-1] for part in self._per_level(weights))
        if positive.sum() == 0:
            return float("nan")
        hits = np.cumsum(positive)
        flagged = hits + np.cumsum(negative)
        precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
        return float((precision * positive).sum() / positive.sum())


@dataclass(frozen=True)
class Confusion:
    """The 2×2 table of decisions against truth."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, decision: np.ndarray, abnormal: np.ndarray) -> Confusion:
        """Count decisions (n,) of bool against truth (n,) of bool."""
        decision, abnormal = np.asarray(decision, dtype=bool), np.asarray(abnormal, dtype=bool)
        return cls(
            int((decision & abnormal).sum()),
            int((decision & ~abnormal).sum()),
            int((~decision & abnormal).sum()),
            int((~decision & ~abnormal).sum()),
        )

    @property
    def sensitivity(self) -> tuple[int, int]:
        """Flagged abnormal images, and all abnormal images."""
        return self.true_positive, self.true_positive + self.false_negative

    @property
    def specificity(self) -> tuple[int, int]:
        """Normal images that passed, and all normal images."""
        return self.true_negative, self.true_negative + self.false_positive

    @property
    def precision(self) -> tuple[int, int]:
        """Flagged abnormal images, and all flagged images (the positive predictive value at this prevalence)."""
        return self.true_positive, self.true_positive + self.false_positive


def f1(decision: np.ndarray, abnormal: np.ndarray, weights: np.ndarray | None = None) -> float:
    """F1: the harmonic mean of precision and sensitivity; NaN if nothing is abnormal and nothing flagged."""
    w = np.ones(len(abnormal)) if weights is None else weights
    both, either = (w * (decision & abnormal)).sum(), (w * decision).sum() + (w * abnormal).sum()
    return float(2 * both / either) if either > 0 else float("nan")


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (NaN, NaN) without trials."""
    if trials == 0:
        return float("nan"), float("nan")
    p, z2 = successes / trials, _Z95**2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 * np.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    # At 0 and 1 the end is exact in theory; rounding must not move it.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return low, high


class GroupBootstrap:
    """Draws of whole groups with replacement: images of one patient stay together.

    Args:
        groups: Group of each image (n,), any values.
        draws: Number of draws.
        seed: Seed of the draws.
    """

    def __init__(self, groups: Any, draws: int = 1000, seed: int = 0) -> None:
        names, self._group = np.unique(np.asarray(groups), return_inverse=True)
        self.number, self.draws, self._seed = len(names), draws, seed

    def interval(self, metric: Callable[[np.ndarray], float]) -> tuple[float, float]:
        """95 % percentile interval of ``metric(weights)``, weights (n,) being how often each image was drawn.

        Draws in which the metric is undefined are left out; (NaN, NaN) if it is undefined in more than half, or if
        there are fewer than two groups.
        """
        rng = np.random.default_rng(self._seed)
        if self.number < 2:
            return float("nan"), float("nan")
        values = np.array(
            [
                metric(np.bincount(rng.integers(0, self.number, self.number), minlength=self.number)[self._group])
                for _ in range(self.draws)
            ]
        )
        values = values[np.isfinite(values)]
        if len(values) < self.draws / 2:
            return float("nan"), float("nan")
        low, high = np.percentile(values, [2.5, 97.5])
        return float(low), float(high)
