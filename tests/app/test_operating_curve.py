"""The operating point: what each answer costs on the other side, and when it is not the validated one."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from tests.app.conftest import add_scores

from medanomaly.app.operating_curve import ALARMS, SENSITIVITY, Curve, Point
from medanomaly.app.pages.operating_point_panel import _moved, answer, cost_in_words
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.edge import Bundle
from medanomaly.metrics.interval import wilson

OWN = DecisionFunction(np.float32(0.5), np.float32(0.1))


@pytest.fixture
def curve():
    rng = np.random.default_rng(0)
    raw = np.concatenate([rng.normal(0.3, 0.1, 200), rng.normal(0.6, 0.15, 80)])
    return Curve(OWN, raw, np.arange(280) >= 200)


def test_a_slider_that_was_replaced_moves_nothing(curve, monkeypatch):
    state = SimpleNamespace(bundle=1, turns=2, threshold=None)
    page, key = SimpleNamespace(state=state), f"per_hundred-1-{ALARMS}-2"
    held = {key: 5.0, f"per_hundred-0-{ALARMS}-2": 30.0, f"per_hundred-1-{ALARMS}-1": 30.0}
    monkeypatch.setattr("streamlit.session_state", held)
    for stale in (f"per_hundred-0-{ALARMS}-2", f"per_hundred-1-{ALARMS}-1", f"per_hundred-1-{ALARMS}-0"):
        _moved(page, curve, ALARMS, stale, 5.0)
    _moved(page, curve, ALARMS, key, 5.0)  # where it stood
    assert state.threshold is None
    held[key] = 30.0
    _moved(page, curve, ALARMS, key, 5.0)
    assert state.threshold == curve.threshold(ALARMS, 30.0)


@pytest.mark.parametrize("asked", [0, 1, 5, 12.5, 50, 99, 100])
def test_alarms_are_at_most_what_was_asked_and_no_lower_threshold_would_do(curve, asked):
    threshold = curve.threshold(ALARMS, asked)
    assert curve.cost(threshold).alarms.value <= asked / 100
    if asked < 100:
        assert curve.cost(float(np.nextafter(np.float32(threshold), np.float32(-1)))).alarms.value > asked / 100


@pytest.mark.parametrize("asked", [1, 50, 90, 100])
def test_sensitivity_is_at_least_what_was_asked(curve, asked):
    cost = curve.cost(curve.threshold(SENSITIVITY, asked))
    assert cost.sensitivity.value >= asked / 100
    assert cost.sensitivity.count == int(np.ceil(asked / 100 * 80))


def test_costs_are_counts_with_wilsons_intervals(curve):
    cost = curve.cost(0.5)
    expected = int((curve.normal > np.float32(0.5)).sum())
    assert (cost.alarms.count, cost.alarms.total) == (expected, 200)
    assert cost.alarms.interval == wilson(expected, 200)
    words = cost_in_words(cost)
    assert f"**{100 * expected / 200:.3g}** of 100 healthy flagged" in words
    assert "200 healthy and 80 abnormal validation images" in words


def test_without_abnormal_images_nothing_is_said_of_what_is_missed():
    curve = Curve(OWN, np.linspace(0, 1, 50, dtype=np.float32), np.zeros(50, bool))
    assert curve.questions == (ALARMS,)
    assert curve.cost(0.5).sensitivity is None
    assert "not known" in cost_in_words(curve.cost(0.5))


def test_a_two_sided_rule_decides_by_distance():
    own = DecisionFunction(np.float32(0.2), np.float32(0.1), centre=np.float32(0.5))
    curve = Curve(own, np.array([0.5, 0.4, 0.9, 0.1]), np.array([False, False, True, True]))
    np.testing.assert_allclose(curve.normal, [0, 0.1], atol=1e-6)
    np.testing.assert_allclose(curve.abnormal, [0.4, 0.4], atol=1e-6)
    assert curve.cost(0.2).sensitivity.count == 2


def test_only_another_threshold_is_a_moved_point():
    assert not Point.at(OWN, None).moved
    assert not Point.at(OWN, 0.5).moved
    moved = Point.at(OWN, 0.3)
    assert moved.moved
    assert moved.decider.score(np.float32(0.3)) == pytest.approx(0.5)
    assert moved.decider.abnormal(0.31)


def test_the_bundle_gives_its_scores_or_says_why_not(mean_bundle, tmp_path):
    curve = Curve.of(Bundle.open(mean_bundle))
    assert isinstance(curve, Curve)
    assert (len(curve.normal), len(curve.abnormal)) == (100, 50)
    assert curve.p_value(0.5) == pytest.approx(2 / 101)
    other = shutil.copytree(mean_bundle, tmp_path / "altered")
    (other / "validation.csv").write_text("label,abnormal,raw_score\n")
    assert "altered" in Curve.of(Bundle.open(other))
    add_scores(other, [], [0.5])
    assert "no normal image" in Curve.of(Bundle.open(other))
    card = json.loads((other / "card.json").read_text())
    del card["validation"]
    (other / "card.json").write_text(json.dumps(card))
    assert "no validation scores" in Curve.of(Bundle.open(other))


@pytest.mark.parametrize("asked", [ALARMS, SENSITIVITY])
@pytest.mark.parametrize("other", [ALARMS, SENSITIVITY])
@pytest.mark.parametrize("per_hundred", [0, 0.5, 1, 7, 15, 50, 97.5, 100])
def test_the_slider_says_what_is_true_of_the_point_at_work(curve, asked, other, per_hundred):
    """Whichever question was answered last, what stands beside the other is true of the threshold, and no looser."""
    threshold = curve.threshold(asked, per_hundred)
    cost, said = curve.cost(threshold), answer(curve, other, threshold, 0.5)
    if other == ALARMS:
        assert said - 0.5 < round(100 * cost.alarms.value, 9) <= said
    else:
        assert said <= round(100 * cost.sensitivity.value, 9) < said + 0.5 or said == 100
    assert 0 <= said <= 100
