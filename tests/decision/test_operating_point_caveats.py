"""Caveats of an operating point alone: what they look at, and that they need no more than numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from medanomaly.decision import threshold_rules
from medanomaly.decision.operating_point_caveats import of_operating_point
from medanomaly.metrics.confusion import flag_all_f1

_NONE = {"low": None, "high": None}


def evidence(tp: int, fp: int, fn: int, tn: int, **point) -> dict:
    table = {"true_positive": tp, "false_positive": fp, "false_negative": fn, "true_negative": tn}
    return {
        "operating_point": {
            "rule": "quantile",
            "value": 0.95,
            "threshold": 1.2345678,
            "fitted_on": {"normal": 500, "abnormal": 200},
            **point,
        },
        "image": {
            "normal": fp + tn,
            "abnormal": tp + fn,
            "confusion": table,
            "auroc": _NONE,
            "sensitivity": _NONE,
            "specificity": _NONE,
        },
    }


def test_a_sound_point_has_none():
    assert of_operating_point(evidence(90, 5, 10, 95)) == []


@pytest.mark.parametrize(("value", "said"), [(2.0, "sigma 2 ("), (0.123456789, "sigma 0.123457 (")])
def test_rules_are_named_with_six_digits_at_most(value, said):
    history = [{"rule": "f1", "value": None, "threshold": 0.5, "until": "2026-11-25T01:02:03+00:00"}] * 2
    (found,) = of_operating_point(evidence(90, 5, 10, 95, rule="sigma", value=value, history=history))
    assert found["text"].startswith(
        "The images were tested with the rule f1 (threshold 0.5); it has been changed 2 times since, last on 2026-11-25"
    )
    assert said in found["text"]


def test_a_point_without_a_table_is_not_judged_by_it():
    record = evidence(0, 0, 0, 0)
    record["image"]["confusion"] = None
    assert of_operating_point(record) == []


def test_flagging_everything_is_told_with_its_f1():
    (found,) = [one for one in of_operating_point(evidence(30, 60, 30, 40, value=0.4)) if "F1" in one["text"]]
    assert f"an F1 of {flag_all_f1(60 / 160):.3f}" in found["text"]


def test_warnings_come_first():
    few = evidence(90, 40, 10, 60, fitted_on={"normal": 12, "abnormal": 0})
    assert [one["severity"] for one in of_operating_point(few)] == ["warning", "note"]


@pytest.mark.parametrize(
    "module", ["decision.operating_point_caveats", "decision.caveat_record", "decision.operating_point_log"]
)
def test_a_bundle_s_machine_needs_neither_scipy_nor_evidence(module):
    probe = (
        f"import sys, medanomaly.{module}\n"
        "heavy = ('scipy', 'pandas', 'torch', 'sklearn', 'anomalib', 'medanomaly.evidence')\n"
        "assert not [name for name in heavy if name in sys.modules], sorted(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-500:]


HELD = "The threshold does not hold on the test images"


def told(rule: str, value: float, fitted: int, flagged: int, of: int) -> list[str]:
    record = evidence(of, flagged, 0, of - flagged, rule=rule, value=value, fitted_on={"normal": fitted, "abnormal": 0})
    return [one["text"] for one in of_operating_point(record) if one["title"] == HELD]


def test_a_count_that_chance_gives_in_one_of_eight_tests_is_no_drift():
    """Quantile 0.95 of 30 images, applied to 30 more: 5 or more are flagged in 13 % of such tests."""
    assert not told("quantile", 0.95, 30, 5, 30)
    (text,) = told("quantile", 0.95, 30, 12, 30)
    assert "By its 30 healthy validation images, 0 to 7 of 30 healthy test images are expected" in text
    assert "12 are (40.0 %, 95 % interval 24.6 to 57.7 %)" in text


@pytest.mark.parametrize(("rule", "value"), [("quantile", 0.95), ("specificity", 0.95), ("conformal", 0.05)])
def test_a_threshold_that_holds_is_doubted_in_one_of_twenty_tests_at_most(rule, value):
    rng, draws, nothing = np.random.default_rng(0), 1000, np.empty(0)
    choose = getattr(threshold_rules, rule)
    for fitted in (30, 100, 211, 1000):
        thresholds = np.array([choose(rng.random(fitted), nothing, value) for _ in range(draws)])
        for of in (30, 100, 211, 1000):
            counts, times = np.unique(rng.binomial(of, 1 - thresholds), return_counts=True)
            doubted = sum(n for flagged, n in zip(counts, times, strict=True) if told(rule, value, fitted, flagged, of))
            # 5 % and three standard errors of the simulation
            assert doubted / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws), (fitted, of)


@pytest.mark.parametrize(("rule", "value"), [("quantile", 0.95), ("specificity", 0.95), ("conformal", 0.05)])
def test_twice_or_half_as_many_of_1000_are_drift(rule, value):
    assert told(rule, value, 1000, 100, 1000)
    assert told(rule, value, 1000, 20, 1000)
    assert not told(rule, value, 1000, 50, 1000)


def test_a_threshold_without_known_normals_is_not_judged():
    assert not told("quantile", 0.95, 0, 30, 30)
    assert not told("conformal", 0.05, 10, 30, 30)
