"""AUROC and other rank metrics of raw scores. Pure functions of numpy arrays; undefined is NaN."""

from __future__ import annotations

import numpy as np

from medanomaly.metrics.interval import NAN


class Ranking:
    """Raw scores sorted once, so that metrics of many bootstrap draws cost a pass each.

    Args:
        scores: Raw scores (n,), any range; higher is more abnormal.
        abnormal: Truth (n,) of bool.

    Raises:
        ValueError: if shapes differ or a score is NaN or infinite.
    """

    def __init__(self, scores: np.ndarray, abnormal: np.ndarray) -> None:
        scores, abnormal = np.asarray(scores), np.asarray(abnormal, dtype=bool)
        if scores.ndim != 1 or scores.shape != abnormal.shape:
            raise ValueError(f"scores {scores.shape} and abnormal {abnormal.shape} must be vectors of one length")
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            raise ValueError(f"{len(bad)} scores are NaN or infinite, the first at position {bad[0]}")
        distinct, level = np.unique(scores, return_inverse=True)
        self._levels = len(distinct)
        # Each class apart, so that a draw touches an image once; by level, so that it walks through memory in order.
        order = np.argsort(level, kind="stable")
        self._classes = [(index, level[index]) for index in (order[part[order]] for part in (abnormal, ~abnormal))]

    def _per_level(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the abnormal and of the normal images at each distinct score, rising."""
        positive, negative = (
            np.bincount(level, None if weights is None else weights[index], self._levels).astype(np.float64)
            for index, level in self._classes
        )
        return positive, negative

    def auroc(self, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve: the chance that an abnormal image outranks a normal one, ties counting half.

        Args:
            weights: How often each image counts (n,); once by default.

        Returns:
            Value in [0, 1]; NaN if a class is missing.
        """
        return self.areas(1.0, weights)[0]

    def partial_auroc(self, max_fpr: float, weights: np.ndarray | None = None) -> float:
        """Area under the ROC curve up to a false-positive rate, scaled so that chance is 0.5 and perfection 1.

        McClish (Medical Decision Making 9, 1989, 190–195); equals scikit-learn's ``roc_auc_score(max_fpr=...)``.

        Args:
            max_fpr: Largest false-positive rate, in (0, 1].
            weights: How often each image counts (n,); once by default.

        Returns:
            At most 1, and exactly 1 of a perfect ranking; NaN if a class is missing.

        Raises:
            ValueError: if the rate is out of range.
        """
        return self.areas(max_fpr, weights)[1]

    def average_precision(self, weights: np.ndarray | None = None) -> float:
        """Average precision: the sum of precision times the step in recall, over falling thresholds.

        Returns:
            Value in [0, 1]; NaN if no image is abnormal.
        """
        return self.areas(1.0, weights)[2]

    def areas(self, max_fpr: float, weights: np.ndarray | None = None) -> tuple[float, float, float]:
        """AUROC, partial AUROC and average precision together, for the price of one.

        Args:
            max_fpr: As in :meth:`partial_auroc`.
            weights: How often each image counts (n,); once by default.

        Raises:
            ValueError: if the rate is out of range.
        """
        if not 0 < max_fpr <= 1:
            raise ValueError(f"the largest false-positive rate must lie in (0, 1], not {max_fpr}")
        positive, negative = (part[::-1] for part in self._per_level(weights))
        hits, alarms = np.cumsum(positive), np.cumsum(negative)
        p, n = (float(part[-1]) if len(part) else 0.0 for part in (hits, alarms))
        if p == 0:
            return NAN, NAN, NAN
        flagged = hits + alarms
        # A level that no drawn image has adds nothing, whatever its precision.
        precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
        average = float(precision @ positive) / p
        if n == 0:
            return NAN, NAN, average
        auroc = float(negative @ (hits - 0.5 * positive)) / (p * n)
        # The area above the curve, counted in pairs of images: whatever the rounding, none of a perfect score.
        limit = max_fpr * n
        inside = int(np.searchsorted(alarms, limit, side="right"))
        reached, missed = np.append(0.0, alarms[:inside]), p - np.append(0.0, hits[:inside])
        rest, last = limit - reached[-1], missed[-1]
        if inside < len(alarms):
            last -= (last - (p - hits[inside])) * (rest / (alarms[inside] - reached[-1]))
        lost = (np.diff(reached) @ (missed[:-1] + missed[1:]) + rest * (missed[-1] + last)) / 2
        return auroc, float(1 - 0.5 * (lost / (p * n)) / (max_fpr - max_fpr**2 / 2)), average


def auroc(scores: np.ndarray, abnormal: np.ndarray) -> float:
    """AUROC of scores (n,) against the truth (n,) of bool, see :meth:`Ranking.auroc`.

    Returns:
        Value in [0, 1]; NaN if a class is missing or a score is not finite.
    """
    return Ranking(scores, abnormal).auroc() if np.isfinite(scores).all() else NAN


def midranks(scores: np.ndarray) -> np.ndarray:
    """Ranks (n,) of scores (n,) from 1, rising; equal scores share the mean of their ranks."""
    _, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[level]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two scores (n,); ties share their mean rank.

    Returns:
        Value in [-1, 1]. Where one of them has a single value throughout: 1 if the other has too, else 0.
    """
    a, b = midranks(first), midranks(second)
    if a.std() == 0 or b.std() == 0:  # all tied: equal orders, or one that knows nothing of the other's
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(np.corrcoef(a, b)[0, 1])
