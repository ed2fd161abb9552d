"""How each rule computes its threshold: ``(normal, abnormal, value) -> threshold``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medanomaly.errors import MedAnomalyError

#: Taken off a number of images before it is rounded up: 0.07 × 100 is a little more than 7, and would ask for 8.
_TRIFLE = 1e-9


class RuleError(MedAnomalyError, ValueError):
    """A rule cannot be applied. The message says what it needs and which rules would work."""


def sigma(normal: np.ndarray, _abnormal: np.ndarray, k: float) -> float:
    """Mean and ``k`` standard deviations (of the sample, not of a population behind it) of normal scores (n,)."""
    return float(normal.mean() + k * normal.std())


def sigma_two_sided(normal: np.ndarray, _abnormal: np.ndarray, k: float) -> float:
    """``k`` standard deviations, from the distances (n,) of normal scores to their mean."""
    return float(k * np.sqrt(np.square(normal).mean()))


def quantile(normal: np.ndarray, _abnormal: np.ndarray, q: float) -> float:
    """Quantile of normal scores (n,), interpolated between neighbours."""
    return float(np.quantile(normal, q))


def conformal(normal: np.ndarray, _abnormal: np.ndarray, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n normal scores.

    A new normal image that is exchangeable with these is flagged with probability at most ``alpha``, whatever the
    distribution of scores (split conformal: Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates 2021, section 1).

    Raises:
        RuleError: with fewer than 1 / alpha - 1 normal images, from which no such threshold exists.
    """
    number = len(normal)
    rank = int(rank_among_normals("conformal", alpha, number))
    if rank > number:
        raise RuleError(
            f"Rule 'conformal' with alpha {alpha:g} needs at least {math.ceil(1 / alpha - _TRIFLE) - 1} normal "
            f"validation images to keep its promise, and there are {number}. With {number}, alpha can be "
            f"{_rounded_up(1 / (number + 1)):g} or more."
        )
    return float(np.sort(normal)[rank - 1])


def specificity(normal: np.ndarray, _abnormal: np.ndarray, share: float) -> float:
    """The lowest threshold with at least ``share`` of normal scores (n,) at or below it: one of the scores."""
    return float(np.sort(normal)[int(rank_among_normals("specificity", share, len(normal))) - 1])


def rank_among_normals(rule: str, value: float, number: int) -> float:
    """Where the threshold of a rule stands among the scores that chose it, whatever these are.

    Args:
        rule: ``quantile``, ``conformal`` or ``specificity``.
        value: The rule's.
        number: Normal images, 1 or more.

    Returns:
        1 for the lowest score to ``number`` for the highest; between two scores for ``quantile``, which interpolates;
        above ``number`` where ``conformal`` has too few.
    """
    if rule == "quantile":
        return value * (number - 1) + 1
    if rule == "conformal":
        return max(1, math.ceil((number + 1) * (1 - value) - _TRIFLE))
    return math.ceil(value * number - _TRIFLE)


def sensitivity(normal: np.ndarray, abnormal: np.ndarray, share: float) -> float:
    """The highest threshold with at least ``share`` of abnormal scores (m,) above it."""
    wanted = math.ceil(share * len(abnormal) - _TRIFLE)
    return _just_below(np.sort(abnormal)[-wanted], np.concatenate([normal, abnormal]))


def manual(_normal: np.ndarray, _abnormal: np.ndarray, value: float) -> float:
    """The value itself."""
    return float(value)


def f1(normal: np.ndarray, abnormal: np.ndarray, _value: float) -> float:
    """The threshold with the largest F1; of several the highest.

    It flags the images that anomalib's ``F1AdaptiveThreshold`` finds best among all it compares; where several sets
    are equally good, that metric takes the largest of them (the lowest threshold), this rule the smallest. The metric
    returns the lowest flagged score, which anomalib then compares by "above", so that this very image is passed; here
    the threshold lies between it and the next lower score.
    """
    levels, hits, alarms = _flagged(normal, abnormal)
    return _threshold(2 * hits / (hits + alarms + len(abnormal)), levels)


def youden(normal: np.ndarray, abnormal: np.ndarray, _value: float) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950); of several the highest."""
    levels, hits, alarms = _flagged(normal, abnormal)
    return _threshold(hits / len(abnormal) - alarms / len(normal), levels)


def cost(normal: np.ndarray, abnormal: np.ndarray, value: Mapping[str, float]) -> float:
    """The threshold with the smallest expected cost of an image; of several the highest.

    ``prevalence · miss · (1 - sensitivity) + (1 - prevalence) · alarm · (1 - specificity)``, with sensitivity and
    specificity on validation and the prevalence of the place of use (Metz 1978, on choosing a point of the ROC curve).
    """
    levels, hits, alarms = _flagged(normal, abnormal)
    miss, alarm = value["prevalence"] * value["miss"], (1 - value["prevalence"]) * value["alarm"]
    paid = miss * (1 - hits / len(abnormal)) + alarm * alarms / len(normal)
    return _threshold(-paid / (miss + alarm), levels)


def _rounded_up(share: float) -> float:
    """A share with three significant digits that is not below it."""
    step = 10.0 ** (math.floor(math.log10(share)) - 2)
    return math.ceil(share / step - _TRIFLE) * step


def _flagged(normal: np.ndarray, abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores (k,), falling, and how many abnormal and normal images (k + 1,) are at or above each.

    The first count is of a threshold above all: none.
    """
    levels = np.unique(np.concatenate([normal, abnormal]))[::-1]
    hits, alarms = (
        np.append(0, len(scores) - np.searchsorted(np.sort(scores), levels, "left")) for scores in (abnormal, normal)
    )
    return levels, hits, alarms


def _threshold(merit: np.ndarray, levels: np.ndarray) -> float:
    """The highest threshold of largest merit: merits (k + 1,) of flagging nothing and of each level (k,) and above."""
    best = int(np.argmax(merit >= merit.max() - 1e-12))  # merits lie in [-1, 1]: what differs by less is equal
    return float(levels[0]) if best == 0 else _just_below(levels[best - 1], levels)


def _just_below(lowest: float, scores: np.ndarray) -> float:
    """The threshold above which ``lowest`` is the lowest of the scores."""
    below = scores[scores < lowest]
    if not len(below):  # everything is flagged; in 32 bit, as the graph compares
        return float(np.nextafter(np.float32(lowest), np.float32(-np.inf)))
    # Halfway to the next lower score: the threshold itself is no score, so rounding elsewhere cannot flip a decision.
    # Where the two are neighbours in 32 bit there is nothing between them.
    middle = (lowest + below.max()) / 2
    return float(middle if np.float32(middle) < np.float32(lowest) else below.max())
