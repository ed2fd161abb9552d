"""The check of the statistics checks the library's own intervals, and would notice ones that are too narrow."""

import numpy as np
import pytest
from tools import check_statistics as check

from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.ranking import Ranking


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 5)
    truth = groups < 10
    return groups, truth, rng.normal(size=100) + truth, rng.normal(size=100) + truth


def test_intervals_are_the_bootstraps_own_whichever_method_comes_first(drawn):
    groups, truth, scores, _ = drawn
    bootstrap, ranking = GroupBootstrap(groups, 60, 3), Ranking(scores, truth)
    for methods in (("percentile", "student-logit"), ("student-logit", "student", "percentile")):
        found = check.intervals(bootstrap, ranking.auroc, len(groups), methods)
        assert found == {method: bootstrap.interval(ranking.auroc, method) for method in methods}


def test_intervals_of_a_difference_are_the_bootstraps_own(drawn):
    groups, truth, first, second = drawn
    bootstrap, a, b = GroupBootstrap(groups, 60, 3), Ranking(first, truth), Ranking(second, truth)
    found = check.intervals(bootstrap, lambda w: a.auroc(w) - b.auroc(w), len(groups), ("percentile", "student"))
    assert found["student"] == bootstrap.interval(lambda w: a.auroc(w) - b.auroc(w), "student")
    assert sum(found["student"]) / 2 == pytest.approx(a.auroc() - b.auroc())  # round the figure itself, not a draw


@pytest.mark.parametrize("mixed", [False, True])
def test_small_simulation_covers_what_it_says(monkeypatch, mixed):
    monkeypatch.setattr(check, "BOOTSTRAP", 100)
    rows = check.clustered(0.75, 40, 5, 0.5, mixed, 60)
    bounded = [row for row in rows if row.kept is not None]
    assert {row.figure for row in bounded} >= {"bootstrap, student-logit", "DeLong by group"}
    assert all(row.kept for row in bounded), bounded


def test_narrow_intervals_are_out_of_bounds_in_quick_mode_too():
    low, high = check.honest(check.QUICK)
    assert 0.85 < low < 0.93 < 0.97 < high
    assert check.honest(check.DRAWS) == (0.93, 0.97)


def test_quick_run_is_within_its_bounds(monkeypatch, capsys):
    monkeypatch.setattr(check, "BOOTSTRAP", 100)
    monkeypatch.setattr(
        check,
        "jobs",
        lambda draws: [(check.delong, (0.9, 50, 50, draws)), (check.two_by_two, (0.85, 0.95, 100, 1000, draws))],
    )
    monkeypatch.setattr(check, "speed", lambda number: [])
    monkeypatch.setattr("sys.argv", ["check_statistics.py", "--quick", "--jobs", "1"])
    assert check.main() == 0
    assert "0 out of bounds" in capsys.readouterr().out
