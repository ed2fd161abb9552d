"""Figures of the 2×2 table of decisions against truth, with 95 % intervals. Undefined is NaN, never 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medanomaly.metrics.interval import NAN, Z95, Interval, wilson


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


def positive_likelihood_ratio(table: Confusion) -> Interval:
    """How many times as often an abnormal image is flagged as a normal one: sensitivity / (1 - specificity).

    Interval by the log method of Simel, Samsa and Matchar (Journal of Clinical Epidemiology 44, 1991, 763–770).

    Returns:
        Value at least 0; NaN if no normal image is flagged or a class is missing. The interval is NaN too where no
        abnormal image is flagged, as the logarithm is not finite.
    """
    return _ratio(table.true_positive, table.sensitivity[1], table.false_positive, table.specificity[1])


def negative_likelihood_ratio(table: Confusion) -> Interval:
    """How many times as often an abnormal image passes as a normal one: (1 - sensitivity) / specificity.

    Interval as in :func:`positive_likelihood_ratio`.

    Returns:
        Value at least 0; NaN if no normal image passes or a class is missing; interval NaN too if all abnormal ones are
        flagged.
    """
    return _ratio(table.false_negative, table.sensitivity[1], table.true_negative, table.specificity[1])


def _ratio(abnormal: int, all_abnormal: int, normal: int, all_normal: int) -> Interval:
    if not all_abnormal or not normal:
        return Interval(NAN, NAN, NAN)
    value = (abnormal / all_abnormal) / (normal / all_normal)
    if not abnormal:
        return Interval(value, NAN, NAN)
    factor = np.exp(Z95 * np.sqrt(1 / abnormal - 1 / all_abnormal + 1 / normal - 1 / all_normal))
    return Interval(value, float(value / factor), float(value * factor))


def balanced_accuracy(table: Confusion) -> Interval:
    """Mean of sensitivity and specificity.

    The interval joins their Wilson intervals by the square-and-add method (Newcombe, Statistics in Medicine 17, 1998,
    873–890, method 10, for the mean in place of the difference).

    Returns:
        All in [0, 1]; NaN if a class is missing.
    """
    if not table.sensitivity[1] or not table.specificity[1]:
        return Interval(NAN, NAN, NAN)
    parts = [(x / n, *wilson(x, n)) for x, n in (table.sensitivity, table.specificity)]
    value = sum(p for p, _, _ in parts) / 2
    below = np.sqrt(sum((p - low) ** 2 for p, low, _ in parts)) / 2
    above = np.sqrt(sum((high - p) ** 2 for p, _, high in parts)) / 2
    return Interval(value, max(0.0, float(value - below)), min(1.0, float(value + above)))


def matthews(table: Confusion) -> float:
    """Matthews' correlation of decision and truth (Biochimica et Biophysica Acta 405, 1975, 442–451).

    Returns:
        Value in [-1, 1]; NaN if a class is missing, or if all images are decided alike.
    """
    # Whole numbers of any size: a product in floating point rounds, and 1 became 1 + 2e-16.
    tp, fp, fn, tn = (int(count) for count in vars(table).values())
    product, square = tp * tn - fp * fn, (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return math.copysign(math.sqrt(product * product / square), product) if square else NAN


def predictive_values(table: Confusion, prevalence: float) -> tuple[Interval, Interval]:
    """Positive and negative predictive value where a stated share of images is abnormal, by Bayes' theorem.

    A test set is seldom as prevalent as the clinic: the shares of the table itself mislead. Intervals by the logit
    method of Mercaldo, Lau and Zhou (Statistics in Medicine 26, 2007, 2170–2183); where a count is 0, half an image is
    added to each. (Their adjustment, z²/2 added throughout, covers far below 95 % where few normal images are flagged.)
    The prevalence counts as known.

    Args:
        table: Decisions against truth.
        prevalence: Share of abnormal images at the place of use, in (0, 1).

    Returns:
        The positive and the negative predictive value, in [0, 1]. All NaN if a class is missing; a value is NaN (its
        interval is not) if nothing could be flagged, or nothing could pass.

    Raises:
        ValueError: if the prevalence is out of range.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence must lie in (0, 1), not {prevalence}")
    (tp, abnormal), (tn, normal) = table.sensitivity, table.specificity
    if not abnormal or not normal:
        return Interval(NAN, NAN, NAN), Interval(NAN, NAN, NAN)
    odds = prevalence / (1 - prevalence)
    return (
        _predictive(tp, abnormal, normal - tn, normal, odds),
        _predictive(tn, normal, abnormal - tp, abnormal, 1 / odds),
    )


def _predictive(hits: int, of: int, false: int, others: int, odds: float) -> Interval:
    right, wrong = hits / of * odds, false / others
    value = right / (right + wrong) if right + wrong else NAN
    added = 0.0 if 0 < hits < of and 0 < false < others else 0.5
    n, m = of + 2 * added, others + 2 * added
    p, q = (hits + added) / n, (false + added) / m
    centre, half = np.log(p / q * odds), Z95 * np.sqrt((1 - p) / (p * n) + (1 - q) / (q * m))
    low, high = (float(1 / (1 + np.exp(-(centre + side * half)))) for side in (-1, 1))
    # The addition pulls inwards: where the value is at the end of the scale, so is the interval.
    return Interval(value, 0.0 if value == 0 else low, 1.0 if value == 1 else high)


def flag_all_f1(prevalence: float) -> float:
    """F1 of flagging every image, where a share ``prevalence`` in [0, 1] is abnormal: 2 p / (1 + p).

    What an F1 has to beat. NaN where nothing is abnormal.

    Raises:
        ValueError: if the prevalence is out of range.
    """
    if not 0 <= prevalence <= 1:
        raise ValueError(f"the prevalence must lie in [0, 1], not {prevalence}")
    return 2 * prevalence / (1 + prevalence) if prevalence else NAN


def mcnemar(first_alone: int, second_alone: int) -> float:
    """Exact two-sided p value that two decisions are right equally often on the same images (McNemar 1947).

    Args:
        first_alone: Images on which only the first is right.
        second_alone: Images on which only the second is right.

    Returns:
        Binomial p value in (0, 1]; NaN if the decisions nowhere differ.
    """
    if first_alone + second_alone == 0:
        return NAN
    from medanomaly.metrics.distributions import sign_test

    return sign_test(first_alone, first_alone + second_alone)
