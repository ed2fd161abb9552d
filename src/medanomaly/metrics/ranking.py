"""Metrics of scores and decisions, with intervals. Pure functions of numpy arrays; undefined is NaN, never 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

#: Two-sided 95 % point of the standard normal distribution.
Z95 = 1.959963984540054
NAN = float("nan")
Method = Literal["percentile", "student", "student-logit"]


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


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (NaN, NaN) without trials."""
    if trials == 0:
        return float("nan"), float("nan")
    p, z2 = successes / trials, Z95**2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * np.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
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
        # Groups of one, numbered as the images are: what is drawn are the weights.
        self._single = bool((self._group == np.arange(len(self._group))).all())

    def interval(self, metric: Callable[[np.ndarray], float], method: Method = "percentile") -> tuple[float, float]:
        """95 % interval of ``metric(weights)``, weights (n,) being how often each image was drawn.

        Methods: ``percentile`` takes the ends from the draws themselves, for any metric; with few groups it is too
        narrow, most so near the end of a scale. ``student`` goes from the metric both ways by the standard deviation
        of the draws times Student's quantile with groups less one as degrees of freedom. ``student-logit`` does so on
        the logit scale, for a metric in [0, 1], and covers best (``tools/check_statistics.py`` measures all three).

        Draws in which the metric is undefined (or, on the logit scale, 0 or 1) are left out.

        Returns:
            (NaN, NaN) if more than half of the draws are left out, or if there are fewer than two groups; with
            ``student`` also if the draws do not vary, and on the logit scale if the metric itself is 0 or 1.

        Raises:
            ValueError: for an unknown method, or on the logit scale for a metric outside [0, 1].
        """
        centre = NAN if method == "percentile" else metric(np.ones(len(self._group), dtype=np.int64))
        return self.ends(self.values(lambda w: [metric(w)])[:, 0] if self.number > 1 else np.empty(0), centre, method)

    def values(self, metrics: Callable[[np.ndarray], Sequence[float]]) -> np.ndarray:
        """Several metrics of every draw, (draws, metrics): weights are drawn once for all of them."""
        rng = np.random.default_rng(self._seed)
        found = []
        for _ in range(self.draws):
            drawn = np.bincount(rng.integers(0, self.number, self.number), minlength=self.number)
            found.append(metrics(drawn if self._single else drawn[self._group]))
        return np.array(found, dtype=np.float64)

    def ends(self, values: np.ndarray, centre: float, method: Method = "percentile") -> tuple[float, float]:
        """The interval of :meth:`interval` from a metric of every draw (draws,) and of the images themselves."""
        if method not in ("percentile", "student", "student-logit"):
            raise ValueError(f"no bootstrap method '{method}': percentile, student or student-logit")
        if self.number < 2:
            return NAN, NAN
        if method == "student-logit":
            values, centre = _logit(values), float(_logit(centre))
        values = values[np.isfinite(values)]
        if len(values) < self.draws / 2:
            return NAN, NAN
        if method == "percentile":
            low, high = np.percentile(values, [2.5, 97.5])
            return float(low), float(high)
        spread = values.std(ddof=1)
        if not np.isfinite(centre) or spread == 0:
            return NAN, NAN
        from scipy.stats import t  # here, because `medanomaly decide` on a bundle has no scipy

        both = centre + np.array([-1, 1]) * t.ppf(0.975, self.number - 1) * spread
        with np.errstate(over="ignore"):  # far below: exactly 0
            low, high = 1 / (1 + np.exp(-both)) if method == "student-logit" else both
        return float(low), float(high)


def _logit(values: Any) -> np.ndarray:
    """Infinite at 0 and 1."""
    values = np.asarray(values, dtype=np.float64)
    if (values < 0).any() or (values > 1).any():
        raise ValueError("the logit scale needs a metric in [0, 1]")
    with np.errstate(divide="ignore"):
        return np.log(values) - np.log1p(-values)
