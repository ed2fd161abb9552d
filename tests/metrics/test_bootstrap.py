"""Intervals by drawing groups."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.ranking import Ranking


def test_bootstrap_of_independent_images_matches_the_mean_s_error():
    values = np.random.default_rng(0).normal(size=400)
    bootstrap = GroupBootstrap(np.arange(400), draws=2000)
    low, high = bootstrap.interval(lambda w: float((w * values).sum() / w.sum()))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.012)


def test_groups_widen_the_interval():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(size=20), 20)

    def mean(w):
        return float((w * values).sum() / w.sum())

    grouped = GroupBootstrap(np.repeat(np.arange(20), 20)).interval(mean)
    single = GroupBootstrap(np.arange(400)).interval(mean)
    assert grouped[1] - grouped[0] > 3 * (single[1] - single[0])


def test_bootstrap_repeats_and_needs_two_groups():
    def mean(w):
        return float(w.mean())

    assert GroupBootstrap(np.arange(9), 50).interval(mean) == GroupBootstrap(np.arange(9), 50).interval(mean)
    assert np.isnan(GroupBootstrap(np.zeros(9)).interval(mean)).all()


def test_student_intervals_are_wider_than_percentiles_and_stay_on_their_scale():
    rng = np.random.default_rng(0)
    truth = np.arange(40) < 20
    ranking = Ranking(rng.normal(size=40) + 2 * truth, truth)
    bootstrap = GroupBootstrap(np.arange(40), 500)
    ends = {method: bootstrap.interval(ranking.auroc, method) for method in ("percentile", "student", "student-logit")}
    value = ranking.auroc()
    assert sum(ends["student"]) / 2 == pytest.approx(value)
    low, high = ends["student-logit"]
    assert 0 < low < value < high < 1
    assert np.log(low / (1 - low)) + np.log(high / (1 - high)) == pytest.approx(2 * np.log(value / (1 - value)))
    assert ends["percentile"][0] > low


def test_a_draw_close_to_the_end_of_the_scale_keeps_the_interval_within():
    values = np.where(np.arange(200) % 2 == 0, 1e-300, 1 - 2**-53)
    assert GroupBootstrap(np.arange(2), 200).ends(values, 0.5, "student-logit") == (0.0, 1.0)


def test_student_intervals_undefined_at_the_ends_and_without_variation():
    bootstrap, truth = GroupBootstrap(np.arange(20), 50), np.arange(20) < 10
    perfect = Ranking(truth.astype(float), truth)
    assert np.isnan(bootstrap.interval(perfect.auroc, "student-logit")).all()
    assert np.isnan(bootstrap.interval(perfect.auroc, "student")).all()
    with pytest.raises(ValueError, match="logit scale"):
        bootstrap.interval(lambda w: float(w.sum()), "student-logit")
    with pytest.raises(ValueError, match="no bootstrap method"):
        bootstrap.interval(perfect.auroc, "bca")
