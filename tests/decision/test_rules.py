"""Thresholds against their definitions; the map to (0, 1)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from medanomaly.decision.rules import RULES, RuleError, check_rule, choose_scale, choose_threshold, fit, parse_rule
from medanomaly.decision.score import to_unit

RNG = np.random.default_rng(0)
NONE = np.array([])


def test_sigma_is_mean_plus_k_standard_deviations():
    normal = RNG.normal(3, 2, 500)
    assert choose_threshold("sigma", 1.5, normal, NONE) == pytest.approx(normal.mean() + 1.5 * normal.std())


def test_quantile_lets_its_share_through():
    normal = RNG.normal(size=1000)
    assert (normal > choose_threshold("quantile", 0.9, normal, NONE)).mean() == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize("seed", range(20))
def test_f1_is_the_best_over_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 60).astype(float)  # many ties
    truth = rng.random(60) < 0.4
    threshold = choose_threshold("f1", None, scores[~truth], scores[truth])
    reached = f1_score(truth, scores > threshold)
    best = max(f1_score(truth, scores > t) for t in np.append(np.unique(scores), scores.min() - 1))
    assert reached == pytest.approx(best)


@pytest.mark.parametrize("share", [0.01, 0.07, 0.5, 0.8, 0.95, 1.0])
def test_sensitivity_is_reached_and_no_higher_threshold_reaches_it(share):
    normal, abnormal = RNG.integers(0, 40, 200).astype(float), RNG.integers(20, 60, 100).astype(float)  # ties
    threshold = choose_threshold("sensitivity", share, normal, abnormal)
    assert (abnormal > threshold).mean() >= share
    scores = np.concatenate([normal, abnormal])
    assert (abnormal > scores[scores > threshold].min()).mean() < share
    assert threshold not in scores


def test_sensitivity_needs_no_normal_image_and_takes_a_share_exactly():
    assert choose_threshold("sensitivity", 0.07, NONE, np.arange(100.0)) == 92.5
    with pytest.raises(RuleError, match="abnormal"):
        choose_threshold("sensitivity", None, RNG.normal(size=9), NONE)
    for value in (0, 1.01):
        with pytest.raises(RuleError, match="a share of abnormal images"):
            check_rule("sensitivity", value)


@pytest.mark.parametrize("rule", ["f1", "sensitivity"])
def test_a_threshold_that_flags_everything_does_so_in_32_bit(rule):
    abnormal = RNG.normal(size=20).astype(np.float32)
    threshold = choose_threshold(rule, 1.0, abnormal[:1] if rule == "f1" else NONE, abnormal)
    assert (abnormal > np.float32(threshold)).all()


def test_manual_is_the_raw_value_itself():
    assert choose_threshold("manual", 0.0057, NONE, NONE) == 0.0057


def test_a_rule_that_lacks_images_says_which_would_work():
    with pytest.raises(
        RuleError,
        match="abnormal.*Rules that would work: sigma, sigma_two_sided, quantile, conformal, specificity, manual",
    ):
        choose_threshold("f1", None, RNG.normal(size=9), NONE)
    with pytest.raises(RuleError, match="normal.*Rules that would work: sensitivity, manual"):
        choose_threshold("sigma", None, NONE, RNG.normal(size=9))


@pytest.mark.parametrize(("rule", "value"), [("quantile", 1.2), ("manual", None), ("sigma", np.inf), ("magic", 1)])
def test_values_out_of_range_are_refused(rule, value):
    with pytest.raises(RuleError, match=rule):
        check_rule(rule, value)


def test_nan_scores_are_refused():
    with pytest.raises(RuleError, match="1 validation scores are NaN"):
        choose_threshold("sigma", 2, np.array([1.0, np.nan]), NONE)


def test_every_rule_asks_a_question():
    for name, rule in RULES.items():
        value = {"miss": 2.0, "alarm": 1.0, "prevalence": 0.1} if name == "cost" else 0.9
        assert rule.question(value).endswith("?"), name


@pytest.mark.parametrize("normal", [RNG.normal(size=50), np.full(50, 3.0), np.zeros(50)])
def test_scale_is_positive_even_for_constant_scores(normal):
    assert choose_scale(choose_threshold("quantile", 0.95, normal, NONE), normal) > 0


def test_map_is_half_at_the_threshold_strictly_monotone_and_invertible():
    raw = np.sort(RNG.normal(100, 30, 2000))
    score = to_unit(raw, 110.0, 5.0)
    assert to_unit(110.0, 110.0, 5.0) == 0.5
    assert (np.diff(score) > 0).all()
    assert score.min() > 0
    assert score.max() < 1
    y = 2 * score - 1
    np.testing.assert_allclose(110.0 + 5.0 * y / (1 - abs(y)), raw, rtol=1e-9)


@pytest.mark.parametrize("spread", [1e-4, 1.0, 1e4])
def test_ranks_survive_in_32_bit(spread):
    normal, abnormal = RNG.normal(1, 0.1, 500) * spread, RNG.normal(1.15, 0.2, 500) * spread
    raw = np.concatenate([normal, abnormal]).astype(np.float32)
    truth = np.arange(1000) >= 500
    score = to_unit(torch.from_numpy(raw), torch.tensor(float(np.quantile(normal, 0.95))), torch.tensor(0.1 * spread))
    assert score.dtype == torch.float32
    assert roc_auc_score(truth, score.numpy()) == pytest.approx(roc_auc_score(truth, raw), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["manual:1e39", "manual:-1e39", "sigma:1e300", "sigma:1e308", "sigma:-1e45", "sigma_two_sided:1e60"]
)
def test_a_number_beyond_32_bit_is_no_operating_point(text):
    with pytest.raises(RuleError, match=r"32.bit"):
        fit(*parse_rule(text), np.arange(1.0, 101.0), np.arange(100) > 90)


def test_a_scale_beyond_32_bit_is_no_operating_point():
    with pytest.raises(RuleError, match="a scale of .*32-bit"):
        fit("manual", 3e38, np.full(9, -3e38), np.zeros(9, bool))


def test_values_are_said_as_they_are_typed():
    with pytest.raises(RuleError, match=r"not miss=10.0\.$"):
        parse_rule("cost:miss=10")
    with pytest.raises(RuleError, match="and none is given"):
        parse_rule("manual")
