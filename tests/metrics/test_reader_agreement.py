"""Agreement of readers: kappa as scikit-learn has it, its interval as published."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from medanomaly.metrics.reader_agreement import kappa


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    first = rng.choice(["agree", "disagree", "unsure"], 40)
    second = np.where(rng.random(40) < 0.6, first, rng.choice(["agree", "disagree", "unsure"], 40))
    found = kappa(list(zip(first.tolist(), second.tolist(), strict=True)))
    assert found[0] == pytest.approx(cohen_kappa_score(first, second))
    assert found[1][0] <= found[0] <= found[1][1]


def test_the_interval_is_that_of_a_published_table():
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed., table 18.1: kappa 0.676, and by
    formula 18.13 a standard error of 0.088."""
    table = {
        ("psychotic", "psychotic"): 75, ("psychotic", "neurotic"): 1, ("psychotic", "organic"): 4,
        ("neurotic", "psychotic"): 5, ("neurotic", "neurotic"): 4, ("neurotic", "organic"): 1,
        ("organic", "psychotic"): 0, ("organic", "neurotic"): 0, ("organic", "organic"): 10,
    }  # fmt: skip
    value, (low, high) = kappa([pair for pair, count in table.items() for _ in range(count)])
    assert value == pytest.approx(0.676, abs=0.0005)
    assert (high - low) / 2 / 1.96 == pytest.approx(0.088, abs=0.001)


def test_the_interval_holds_what_it_promises():
    """Pairs drawn with a known kappa: 95 in 100 intervals hold it, give or take."""
    rng, held, truth = np.random.default_rng(0), 0, 0.6
    for _ in range(400):
        first = rng.random(150) < 0.5
        second = np.where(rng.random(150) < truth, first, rng.random(150) < 0.5)
        low, high = kappa(list(zip(map(str, first), map(str, second), strict=True)))[1]
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("pairs", [[], [("agree", "agree")] * 5])
def test_where_chance_agrees_throughout_there_is_no_kappa(pairs):
    assert kappa(pairs) is None
