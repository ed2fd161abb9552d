"""Caveats of an operating point alone: what they look at, and that they need no more than numpy."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
    "module", ["decision.operating_point_caveats", "decision.caveat_text", "decision.operating_point_log"]
)
def test_a_bundle_s_machine_needs_neither_scipy_nor_evidence(module):
    probe = (
        f"import sys, medanomaly.{module}\n"
        "heavy = ('scipy', 'pandas', 'torch', 'sklearn', 'anomalib', 'medanomaly.evidence')\n"
        "assert not [name for name in heavy if name in sys.modules], sorted(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-500:]
