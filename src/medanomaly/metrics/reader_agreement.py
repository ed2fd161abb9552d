"""Agreement of two readers beyond chance: Cohen's kappa with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

from medanomaly.metrics.interval import Z95

METHOD = "Cohen's kappa, unweighted; 95 % interval by the standard error of Fleiss, Cohen and Everitt (1969)"


def kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, tuple[float, float]] | None:
    """Cohen's kappa of pairs of marks, with its 95 % interval.

    Sources: J. Cohen, A coefficient of agreement for nominal scales, Educ Psychol Meas 20 (1960) 37; the interval by
    J. L. Fleiss, J. Cohen, B. S. Everitt, Large sample standard errors of kappa and weighted kappa, Psychol Bull 72
    (1969) 323, equation 13. It is a large-sample interval: below some 30 images it is too narrow.

    Args:
        pairs: The two readers' marks of each image.

    Returns:
        Kappa in [-1, 1] and both ends of its interval; None where chance alone would make them agree throughout, or
        without pairs.
    """
    n = len(pairs)
    names = sorted({mark for pair in pairs for mark in pair})
    if not n or len(names) < 2:
        return None
    both = Counter(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    observed = sum(both[name, name] for name in names) / n
    expected = sum(first[name] * second[name] for name in names) / n**2
    value = (observed - expected) / (1 - expected)
    on = sum(
        both[name, name] / n * ((1 - expected) - (first[name] + second[name]) / n * (1 - observed)) ** 2
        for name in names
    )
    off = (1 - observed) ** 2 * sum(
        both[a, b] / n * ((second[a] + first[b]) / n) ** 2 for a in names for b in names if a != b
    )
    variance = (on + off - (observed * expected - 2 * expected + observed) ** 2) / (n * (1 - expected) ** 4)
    half = Z95 * sqrt(max(variance, 0.0))
    return value, (max(-1.0, value - half), min(1.0, value + half))
