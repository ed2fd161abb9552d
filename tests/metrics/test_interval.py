"""Wilson's interval against scipy and published tables, and with trials that depend on one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from medanomaly.metrics.interval import Z95, wilson


@pytest.mark.parametrize("trials", [1, 3, 20, 263])
def test_wilson_equals_scipy(trials):
    for successes in {0, 1, trials // 2, trials}:
        score = binomtest(successes, trials).proportion_ci(method="wilson")
        assert wilson(successes, trials) == pytest.approx((score.low, score.high), abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, table I, Wilson's method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_matches_published_examples(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_edges():
    assert wilson(10, 10)[1] == 1.0
    assert np.isnan(wilson(0, 0)).all()


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 7), (7, 7), (81, 263)])
@pytest.mark.parametrize("effect", [1.0, 1.7, 4.0])
def test_a_design_effect_divides_the_trials(successes, trials, effect):
    value, fewer = successes / trials, trials / effect
    centre = (value + Z95**2 / (2 * fewer)) / (1 + Z95**2 / fewer)
    half = Z95 * np.sqrt(value * (1 - value) / fewer + Z95**2 / (4 * fewer**2)) / (1 + Z95**2 / fewer)
    expected = (0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half)
    assert wilson(successes, trials, effect) == expected  # bit for bit: published figures rest on it


def test_fractional_counts():
    assert wilson(1.5, 4.5) == pytest.approx(wilson(3, 9, 2.0))
