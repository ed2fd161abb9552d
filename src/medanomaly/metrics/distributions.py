"""Quantiles and tails of distributions. Needs scipy, as no other module of metrics does: import it where called."""

from __future__ import annotations

from scipy.stats import binomtest, t


def student95(freedom: float) -> float:
    """Two-sided 95 % point of Student's t with ``freedom`` degrees of freedom, above 0."""
    return float(t.ppf(0.975, freedom))


def student_test(statistic: float, freedom: float) -> float:
    """Two-sided p value of a statistic that follows Student's t, in [0, 1]."""
    return float(2 * t.sf(abs(statistic), freedom))


def sign_test(successes: int, trials: int) -> float:
    """Exact two-sided binomial p value that successes and failures are equally likely, in (0, 1]; 1 trial or more."""
    return float(binomtest(successes, trials, 0.5).pvalue)
