"""The beta-binomial distribution, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom

from medanomaly.metrics.beta_binomial import probabilities, usual_counts

CASES = [(0, 1.0, 1.0), (1, 0.5, 2.0), (30, 2.45, 28.55), (211, 11.5, 200.5), (1000, 51.0, 950.0), (100_000, 1.0, 30.0)]


@pytest.mark.parametrize(("trials", "a", "b"), CASES)
def test_probabilities_are_scipy_s(trials, a, b):
    found = probabilities(trials, a, b)
    np.testing.assert_allclose(found, betabinom(trials, a, b).pmf(np.arange(trials + 1)), rtol=1e-7, atol=1e-13)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(("trials", "a", "b"), CASES)
def test_usual_counts_are_those_of_the_tails(trials, a, b):
    low, high = usual_counts(trials, a, b)
    exact = betabinom(trials, a, b)
    assert exact.cdf(low) >= 0.025 > exact.cdf(low - 1)
    assert exact.sf(high - 1) >= 0.025 > exact.sf(high)


def test_counts_above_an_order_statistic_follow_it():
    rng = np.random.default_rng(0)
    n, m, rank = 20, 15, 18
    threshold = np.sort(rng.exponential(size=(40_000, n)), axis=1)[:, rank - 1]
    above = (rng.exponential(size=(40_000, m)) > threshold[:, None]).sum(axis=1)
    seen = np.bincount(above, minlength=m + 1) / 40_000
    np.testing.assert_allclose(seen, probabilities(m, n - rank + 1, rank), atol=0.008)


@pytest.mark.parametrize(("trials", "a", "b"), [(-1, 1, 1), (3, 0, 1), (3, 1, 0), (3, np.nan, 1), (3, 1, np.inf)])
def test_what_is_out_of_range_is_refused(trials, a, b):
    with pytest.raises(ValueError, match="at least 0"):
        probabilities(trials, a, b)
