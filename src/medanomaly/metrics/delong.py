"""DeLong's interval of an AUROC, and of the difference of two on the same images.

Every function takes groups too (all images of one patient, say). Images of a group are then one observation, after
Obuchowski (Biometrics 53, 1997, 567–578); with groups of one her variance is DeLong's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.metrics.interval import NAN, Z95
from medanomaly.metrics.ranking import Ranking, midranks

#: Below this a variance is rounding.
_TRIFLE = 1e-15
#: With fewer images out of order than this, DeLong's variance is a matter of luck.
_FEW = 3


@dataclass(frozen=True)
class AurocInterval:
    """An AUROC with its 95 % interval; what is undefined is NaN."""

    value: float  #: in [0, 1]
    variance: float  #: of ``value``, at least 0
    low: float
    high: float
    method: str  #: in words: how the interval was made


@dataclass(frozen=True)
class AurocDifference:
    """AUROC of a first score minus that of a second on the same images; what is undefined is NaN."""

    first: float
    second: float
    value: float  #: ``first - second``, in [-1, 1]
    variance: float  #: of ``value``
    low: float  #: 95 % interval, in [-1, 1]
    high: float
    p: float  #: two-sided, of no difference


def auroc_interval(scores: np.ndarray, abnormal: np.ndarray, groups: Any = None) -> AurocInterval:
    """AUROC with a 95 % interval.

    The variance is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988, 837–845), by midranks (Sun and Xu,
    IEEE Signal Processing Letters 21, 2014, 1389–1393). The interval is symmetric on the logit scale and so stays in
    (0, 1); near 1 it covers better than the symmetric one. Its quantile is Student's, with the degrees of freedom of
    Welch and Satterthwaite for the two classes, at most groups less one. Where so few images are out of order that
    the variance cannot be trusted (fewer than 3 of the rarer class, none at worst), the interval is stretched to that
    of :func:`hanley_mcneil`, which needs no variance. ``tools/check_statistics.py`` measures the coverage.

    Args:
        scores: Raw scores (n,), any range; higher is more abnormal.
        abnormal: Truth (n,) of bool.
        groups: Group of each image (n,), any values; each image its own by default.

    Returns:
        All NaN if a class is missing; variance and interval NaN if a class is in fewer than two groups.

    Raises:
        ValueError: if shapes differ or a score is NaN or infinite.
    """
    parts = _Parts([scores], abnormal, groups)
    value = float(parts.auroc[0])
    variance, quantile, _ = parts.spread(np.ones(1))
    if np.isnan(variance):
        return AurocInterval(value, NAN, NAN, NAN, "undefined")
    score = hanley_mcneil(value, parts.groups_abnormal, parts.groups_normal)
    if variance < _TRIFLE or not 0 < value < 1:
        return AurocInterval(value, 0.0, *score, "Hanley and McNeil, score")
    half = quantile * np.sqrt(variance) / (value * (1 - value))
    centre = np.log(value / (1 - value))
    low, high = (float(1 / (1 + np.exp(-(centre + side * half)))) for side in (-1, 1))
    method = "DeLong, logit" if parts.single else "DeLong by group, logit"
    # Images of a group are worth fewer than their number and more than one: there the stretch would be a guess.
    if parts.single and min(value, 1 - value) * min(parts.groups_abnormal, parts.groups_normal) < _FEW:
        low, high, method = min(low, score[0]), max(high, score[1]), f"{method}, stretched"
    return AurocInterval(value, variance, low, high, method)


def auroc_difference(
    first: np.ndarray, second: np.ndarray, abnormal: np.ndarray, groups: Any = None
) -> AurocDifference:
    """Difference of the AUROC of two scores on the same images, with 95 % interval and p value.

    DeLong and others (1988, eq. 5 to 7): the covariance of both; Student's t as in :func:`auroc_interval`.

    Args:
        first: Raw scores (n,), any range.
        second: Raw scores (n,) of the same images, any range.
        abnormal: Truth (n,) of bool.
        groups: Group of each image (n,); each image its own by default.

    Returns:
        Interval and p value are NaN if a class is in fewer than two groups, or if the difference does not vary, as
        when both scores rank alike.

    Raises:
        ValueError: if shapes differ or a score is NaN or infinite.
    """
    parts = _Parts([first, second], abnormal, groups)
    a, b = (float(value) for value in parts.auroc)
    value = a - b
    variance, quantile, freedom = parts.spread(np.array([1.0, -1.0]))
    if not variance >= _TRIFLE:
        return AurocDifference(a, b, value, variance if np.isnan(variance) else 0.0, NAN, NAN, NAN)
    from medanomaly.metrics.distributions import student_test

    error = float(np.sqrt(variance))
    low, high = max(-1.0, value - quantile * error), min(1.0, value + quantile * error)
    return AurocDifference(a, b, value, variance, low, high, student_test(value / error, freedom))


def covariance(scores: list[np.ndarray], abnormal: np.ndarray, groups: Any = None) -> np.ndarray:
    """Covariance matrix (k, k) of the AUROCs of k scores on the same images (DeLong and others 1988, eq. 4).

    Args:
        scores: k vectors of raw scores (n,).
        abnormal: Truth (n,) of bool.
        groups: Group of each image (n,); each image its own by default.

    Returns:
        NaN throughout if a class is in fewer than two groups.

    Raises:
        ValueError: if shapes differ or a score is NaN or infinite.
    """
    return _Parts(scores, abnormal, groups).covariance()


def hanley_mcneil(value: float, abnormal: int, normal: int) -> tuple[float, float]:
    """95 % interval of an AUROC from its value and the number of images alone.

    It holds the values whose own standard error, that of Hanley and McNeil (Radiology 143, 1982, 29–36, eq. 1 and 2),
    reaches the observed one: the score method that Newcombe (Statistics in Medicine 25, 2006, 559–573) takes up.
    Unlike any method that estimates a variance it has a width at 0 and 1.

    Args:
        value: AUROC in [0, 1].
        abnormal: Number m of abnormal images.
        normal: Number n of normal images.

    Returns:
        Ends in [0, 1]; (NaN, NaN) if the value is NaN or a class is missing.
    """
    if np.isnan(value) or min(abnormal, normal) < 1:
        return NAN, NAN

    def error(theta: float) -> float:
        q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
        square = theta * (1 - theta) + (abnormal - 1) * (q1 - theta**2) + (normal - 1) * (q2 - theta**2)
        return float(np.sqrt(max(square, 0.0) / (abnormal * normal)))

    def end(limit: float) -> float:
        inside, outside = value, limit  # halving: the end lies between
        for _ in range(60):
            middle = (inside + outside) / 2
            if abs(middle - value) > Z95 * error(middle):
                outside = middle
            else:
                inside = middle
        return inside

    return (0.0 if value == 0 else end(0.0)), (1.0 if value == 1 else end(1.0))


class _Parts:
    """Each image's share in k AUROCs, summed by group."""

    def __init__(self, scores: list[np.ndarray], abnormal: np.ndarray, groups: Any) -> None:
        abnormal = np.asarray(abnormal, dtype=bool)
        self.auroc = np.array([Ranking(one, abnormal).auroc() for one in scores])
        positives, negatives = int(abnormal.sum()), int((~abnormal).sum())
        if groups is None:
            of, number = np.arange(len(abnormal)), len(abnormal)
        else:
            names, of = np.unique(np.asarray(groups), return_inverse=True)
            if of.shape != abnormal.shape:
                raise ValueError(f"groups {of.shape} and abnormal {abnormal.shape} must be vectors of one length")
            number = len(names)
        self.groups, self.single = number, number == len(abnormal)
        self.groups_abnormal = len(np.unique(of[abnormal]))
        self.groups_normal = len(np.unique(of[~abnormal]))
        if min(positives, negatives) == 0:
            self._positive = self._negative = np.full((len(scores), number), np.nan)
            return
        positive, negative = [], []
        for one, value in zip(scores, self.auroc, strict=True):
            above, below = placements(one, abnormal)
            positive.append(np.bincount(of[abnormal], above - value, number) / positives)
            negative.append(np.bincount(of[~abnormal], below - value, number) / negatives)
        self._positive, self._negative = np.array(positive), np.array(negative)

    def covariance(self) -> np.ndarray:
        """Obuchowski 1997, section 2; DeLong's for groups of one."""
        a, b, k = self.groups_abnormal, self.groups_normal, len(self.auroc)
        if min(a, b) < 2:
            return np.full((k, k), np.nan)
        cross = self._positive @ self._negative.T
        return (
            a / (a - 1) * self._positive @ self._positive.T
            + b / (b - 1) * self._negative @ self._negative.T
            + self.groups / (self.groups - 1) * (cross + cross.T)
        )

    def spread(self, contrast: np.ndarray) -> tuple[float, float, float]:
        """Variance of a sum of AUROCs times ``contrast`` (k,), Student's quantile for it and its degrees of freedom."""
        a, b = self.groups_abnormal, self.groups_normal
        if min(a, b) < 2:
            return NAN, NAN, NAN
        variance = float(contrast @ self.covariance() @ contrast)
        positive = a / (a - 1) * ((contrast @ self._positive) ** 2).sum()
        negative = b / (b - 1) * ((contrast @ self._negative) ** 2).sum()
        if positive + negative == 0:
            return 0.0, NAN, NAN
        freedom = (positive + negative) ** 2 / (positive**2 / (a - 1) + negative**2 / (b - 1))
        freedom = float(min(freedom, self.groups - 1))
        from medanomaly.metrics.distributions import student95

        return variance, student95(freedom), freedom


def placements(scores: np.ndarray, abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How well each image is placed among those of the other class, by midranks (Sun and Xu 2014, eq. 4 and 5).

    Args:
        scores: Raw scores (n,).
        abnormal: Truth (n,) of bool, with both classes.

    Returns:
        For each abnormal image the share of normal ones below it, and for each normal image the share of abnormal ones
        above it, ties counting half; each in [0, 1], in the images' order, and the mean of each is the AUROC.
    """
    scores, abnormal = np.asarray(scores), np.asarray(abnormal, dtype=bool)
    everywhere, high, low = midranks(scores), midranks(scores[abnormal]), midranks(scores[~abnormal])
    below = (everywhere[abnormal] - high) / (~abnormal).sum()
    above = 1 - (everywhere[~abnormal] - low) / abnormal.sum()
    return below, above
