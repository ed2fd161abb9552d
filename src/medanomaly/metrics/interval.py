"""``Interval``: a figure with its 95 % interval; Wilson's interval of a proportion. Undefined is NaN, never 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Two-sided 95 % point of the standard normal distribution.
Z95 = 1.959963984540054
NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; what is undefined is NaN."""

    value: float
    low: float
    high: float


def wilson(successes: float, trials: float, design_effect: float = 1.0) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927).

    Args:
        successes: At least 0, at most ``trials``.
        trials: At least 0.
        design_effect: How much the variance of dependent trials exceeds that of independent ones, above 0: the trials
            count as fewer by this factor, and need not stay whole (Korn and Graubard, Survey Methodology 24, 1998,
            193–201).

    Returns:
        Both ends, in [0, 1]; (NaN, NaN) without trials.
    """
    if trials == 0:
        return NAN, NAN
    p, n, z2 = successes / trials, trials / design_effect, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    # At 0 and 1 the end is exact in theory; rounding must not move it.
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return low, high
