"""Beta-binomial distribution: how many new images lie above a threshold that is a score of others."""

from __future__ import annotations

import math

import numpy as np


def probabilities(trials: int, a: float, b: float) -> np.ndarray:
    """Probability of each count from 0 to ``trials``, where the chance of one is drawn from Beta(a, b).

    The share of a continuous distribution above the r-th smallest of n draws from it is Beta(n - r + 1, r) (David and
    Nagaraja, Order Statistics, 2003, section 2.3). How many of further draws lie above it is therefore beta-binomial.

    Args:
        trials: At least 0.
        a: Above 0.
        b: Above 0.

    Returns:
        (trials + 1,) in [0, 1], with sum 1.

    Raises:
        ValueError: if an argument is out of range.
    """
    if trials < 0 or not (0 < a < math.inf and 0 < b < math.inf):
        raise ValueError(f"trials must be at least 0, a and b above 0, not {trials}, {a} and {b}")
    count = np.arange(trials, dtype=np.float64)
    steps = np.log((trials - count) / (count + 1)) + np.log((count + a) / (trials - count - 1 + b))
    none = math.lgamma(trials + b) - math.lgamma(trials + a + b) + math.lgamma(a + b) - math.lgamma(b)
    found = np.exp(np.concatenate([[none], none + np.cumsum(steps)]))
    return found / found.sum()


def usual_counts(trials: int, a: float, b: float) -> tuple[int, int]:
    """The counts that leave less than 2.5 % below them and less than 2.5 % above: 95 % or more of all.

    Args:
        trials: As in :func:`probabilities`.
        a: Likewise.
        b: Likewise.

    Returns:
        The lowest and the highest such count. At a lower one P(X <= count) is below 2.5 %, at a higher one
        P(X >= count).

    Raises:
        ValueError: as :func:`probabilities` does.
    """
    found = probabilities(trials, a, b)
    at_most, at_least = np.cumsum(found), np.cumsum(found[::-1])[::-1]
    return int(np.argmax(at_most >= 0.025)), int(trials - np.argmax(at_least[::-1] >= 0.025))
