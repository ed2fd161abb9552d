"""Rules against independent computations: every possible threshold tried, anomalib's metric, ties, small samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anomalib.metrics.threshold.f1_adaptive_threshold import _F1AdaptiveThreshold
from sklearn.metrics import f1_score, roc_curve

from medanomaly.decision.rules import RULES, RuleError, check_rule, choose_threshold, fit, parse_rule

RNG = np.random.default_rng(3)
NONE = np.array([])
COST = {"miss": 10.0, "alarm": 1.0, "prevalence": 0.02}


def case(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    normal, abnormal = rng.normal(0, 2, 40), rng.normal(2, 3, 25)
    return (normal.round(), abnormal.round()) if ties else (normal, abnormal)


def every_threshold(normal: np.ndarray, abnormal: np.ndarray) -> np.ndarray:
    scores = np.unique(np.concatenate([normal, abnormal]))
    return np.concatenate([[scores[0] - 1], (scores[1:] + scores[:-1]) / 2, [scores[-1]]])


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(15))
def test_youden_is_the_best_over_all_thresholds_and_the_highest_of_equals(seed, ties):
    normal, abnormal = case(seed, ties)
    truth, scores = np.arange(65) >= 40, np.concatenate([normal, abnormal])
    false_alarms, hits, _ = roc_curve(truth, scores, drop_intermediate=False)
    threshold = choose_threshold("youden", None, normal, abnormal)
    reached = (abnormal > threshold).mean() - (normal > threshold).mean()
    assert reached == pytest.approx((hits - false_alarms).max())
    merits = np.array([(abnormal > t).mean() - (normal > t).mean() for t in every_threshold(normal, abnormal)])
    highest = every_threshold(normal, abnormal)[np.flatnonzero(np.isclose(merits, merits.max()))[-1]]
    np.testing.assert_array_equal(scores > threshold, scores > highest)


@pytest.mark.parametrize(
    "value", [COST, {"miss": 1.0, "alarm": 5.0, "prevalence": 0.3}, {"miss": 1e6, "alarm": 1.0, "prevalence": 0.5}]
)
@pytest.mark.parametrize("seed", range(8))
def test_cost_is_the_smallest_over_all_thresholds(seed, value):
    normal, abnormal = case(seed, ties=seed % 2 == 0)

    def expected(threshold: float) -> float:
        sensitivity, specificity = (abnormal > threshold).mean(), (normal <= threshold).mean()
        p = value["prevalence"]
        return p * value["miss"] * (1 - sensitivity) + (1 - p) * value["alarm"] * (1 - specificity)

    paid = expected(choose_threshold("cost", value, normal, abnormal))
    assert paid == pytest.approx(min(map(expected, every_threshold(normal, abnormal))))


def test_cost_may_flag_nothing_and_everything():
    normal, abnormal = np.arange(10.0), np.arange(5.0)
    assert not (
        np.arange(10.0) > choose_threshold("cost", {"miss": 1, "alarm": 99, "prevalence": 0.01}, normal, abnormal)
    ).any()
    assert (
        np.arange(10.0) > choose_threshold("cost", {"miss": 99, "alarm": 1, "prevalence": 0.9}, normal, abnormal)
    ).all()


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(15))
def test_f1_equals_anomalibs_adaptive_threshold(seed, ties):
    normal, abnormal = (scores.astype(np.float32) for scores in case(seed, ties))
    scores, truth = np.concatenate([normal, abnormal]), np.arange(65) >= 40
    metric = _F1AdaptiveThreshold()
    metric.update(torch.from_numpy(scores), torch.from_numpy(truth.astype(int)))
    theirs, ours = (
        scores >= float(metric.compute()),
        scores > np.float32(choose_threshold("f1", None, normal, abnormal)),
    )
    assert f1_score(truth, ours) == pytest.approx(f1_score(truth, theirs), abs=1e-6)
    best = [f1_score(truth, scores > t) for t in every_threshold(normal, abnormal)]
    if np.isclose(best, max(best), atol=1e-6).sum() == 1:
        np.testing.assert_array_equal(ours, theirs)
    assert (theirs | ~ours).all()  # of equals ours is the smaller set


@pytest.mark.parametrize("share", [0.01, 0.07, 0.5, 0.9, 1.0])
def test_specificity_is_the_lowest_threshold_that_reaches_its_share(share):
    for normal in (RNG.normal(size=100), RNG.integers(0, 12, 100).astype(float)):
        threshold = choose_threshold("specificity", share, normal, NONE)
        assert (normal <= threshold).mean() >= share
        assert (normal <= np.nextafter(threshold, -np.inf)).mean() < share


def test_two_sided_sigma_is_mean_and_k_standard_deviations_either_way():
    scores, abnormal = RNG.normal(5, 2, 60), np.arange(60) >= 50
    chosen = fit("sigma_two_sided", 2.0, scores, abnormal)
    normal = scores[:50]
    assert chosen.centre == pytest.approx(normal.mean())
    assert chosen.threshold == pytest.approx(2 * normal.std())
    assert chosen.scale > 0
    constant = fit("sigma_two_sided", 2.0, np.full(5, 3.0), np.zeros(5, bool))
    assert (constant.threshold, constant.centre) == (0, 3)
    assert constant.scale > 0


def test_neighbours_in_32_bit_are_told_apart():
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    for rule in ("sensitivity", "f1", "youden"):
        threshold = np.float32(choose_threshold(rule, None, np.array([low]), np.array([high])))
        assert high > threshold >= low, rule


@pytest.mark.parametrize("rule", ["f1", "youden", "cost", "sensitivity"])
def test_normals_only_names_the_rules_that_work_and_these_do(rule):
    value = COST if rule == "cost" else None
    with pytest.raises(RuleError, match="Rules that would work: ") as refused:
        choose_threshold(rule, value, RNG.normal(size=30), NONE)
    named = str(refused.value).rstrip(".").split("work: ")[1].split(", ")
    assert named == ["sigma", "sigma_two_sided", "quantile", "conformal", "specificity", "manual"]
    for name in named:
        assert np.isfinite(fit(name, 0.1, RNG.normal(size=30), np.zeros(30, bool)).threshold)


@pytest.mark.parametrize("rule", RULES)
def test_three_images_are_enough_or_say_what_is(rule):
    value = {"cost": COST, "manual": 1.5, "conformal": 0.25}.get(rule)
    chosen = fit(rule, value, np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, False, True]))
    assert np.isfinite(chosen.threshold)
    assert chosen.scale > 0


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("conformal", 0), ("conformal", 1), ("specificity", 0), ("specificity", 1.1), ("sigma_two_sided", 0), ("cost", None), ("cost", 3.0),
        ("cost", {"miss": 1}), ("cost", {**COST, "prevalence": 1}), ("cost", {**COST, "miss": 0}), ("cost", {**COST, "more": 1}),
        ("cost", {**COST, "alarm": float("nan")}), ("quantile", COST), ("sigma", COST), ("sigma", "two"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_and_the_message_says_what_is_wanted(rule, value):
    with pytest.raises(RuleError, match=f"Rule '{rule}' needs "):
        check_rule(rule, value)


def test_pixel_rules_are_those_that_make_sense_for_pixels():
    for rule in ("conformal", "sigma_two_sided"):
        with pytest.raises(
            RuleError,
            match="not pixels.*Pixel rules: sigma, quantile, specificity, sensitivity, f1, youden, cost, manual",
        ):
            check_rule(rule, None, "pixels")
    with pytest.raises(RuleError, match="abnormal validation pixels.*work: sigma, quantile, specificity, manual"):
        choose_threshold("youden", None, RNG.normal(size=9), NONE, "pixels")


def test_rules_in_words():
    assert parse_rule("sensitivity:0.9") == ("sensitivity", 0.9)
    assert parse_rule("sigma_two_sided") == ("sigma_two_sided", 2.0)
    assert parse_rule("cost:miss=10, alarm=1,prevalence=0.02") == ("cost", COST)
    assert parse_rule("f1") == ("f1", None)
    for text in ("quantile:", "quantile:x", "cost:miss=", "f1:0.3", "magic:1", "cost:miss=1=2"):
        with pytest.raises(RuleError):
            parse_rule(text)
