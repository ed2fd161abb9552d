"""A planted number is found, with its direction, and compared with the model on the same images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medanomaly.evidence.checks.context import CheckError
from medanomaly.evidence.checks.paired_baseline import Values, compare

RNG = np.random.default_rng(0)


def values(n: int = 120, shift: float = 2.0, groups: np.ndarray | None = None) -> Values:
    """``dark`` is lower in abnormal images, ``noise`` says nothing."""
    abnormal = np.arange(n) % 2 == 1
    numbers = {"noise": RNG.normal(size=n), "dark": RNG.normal(size=n) - shift * abnormal}
    return Values(numbers, abnormal, np.arange(n) if groups is None else groups)


def test_the_planted_number_is_chosen_on_validation_with_its_direction():
    test, validation = values(), values()
    scores = RNG.normal(size=120) + 0.5 * test.abnormal
    record = compare(test, scores, validation)
    assert (record["name"], record["direction"], record["chosen_on"]) == ("dark", "low", "validation")
    expected = roc_auc_score(test.abnormal, -test.numbers["dark"])
    assert record["auroc"]["value"] == pytest.approx(expected)
    assert record["auroc"]["low"] < expected < record["auroc"]["high"]
    model = roc_auc_score(test.abnormal, scores)
    assert record["difference"]["value"] == pytest.approx(model - expected)
    assert record["difference"]["high"] < 0
    assert [row["name"] for row in record["all"]] == ["dark", "noise"]
    assert record["all"][0]["test"] == pytest.approx(1 - expected)  # high as abnormal, whatever the direction
    assert [row["settled"] for row in record["all"]] == [True, False]


def test_a_direction_that_turns_round_is_not_turned_back_on_test():
    test, validation = values(shift=2.0), values(shift=-2.0)
    record = compare(test, RNG.normal(size=120), validation)
    assert record["direction"] == "high"
    assert record["auroc"]["value"] < 0.5


@pytest.mark.parametrize("validation", [None, "few"])
def test_without_labelled_validation_it_is_picked_on_test_and_says_so(validation):
    few = Values({"noise": np.zeros(12), "dark": np.zeros(12)}, np.arange(12) == 0, np.arange(12))
    record = compare(values(), RNG.normal(size=120), few if validation else None)
    assert record["chosen_on"] == "test"
    assert record["direction"] == "low"
    assert all(row["validation"] is None and row["settled"] is None for row in record["all"])
    assert record["auroc"]["value"] > 0.8


def test_groups_widen_the_interval():
    test = values()
    same = Values(test.numbers, test.abnormal, np.arange(120) // 12 * 2 + test.abnormal)
    alone, together = (compare(v, RNG.normal(size=120), None) for v in (test, same))
    assert "by group" in together["auroc"]["interval"]
    assert alone["auroc"]["value"] == together["auroc"]["value"]


def test_bad_input_is_named():
    test = values()
    with pytest.raises(CheckError, match="no abnormal test image"):
        compare(test.only(~test.abnormal), np.zeros(60), None)
    with pytest.raises(CheckError, match="no normal test image"):
        compare(test.only(test.abnormal), np.zeros(60), None)
    with pytest.raises(CheckError, match="no number"):
        compare(Values({"x": np.full(4, np.nan)}, np.array([0, 1, 0, 1], bool), np.arange(4)), np.zeros(4), None)
    with pytest.raises(ValueError, match="NaN"):
        compare(test, np.full(120, np.nan), None)


def test_three_images_leave_intervals_undefined():
    three = Values({"x": np.array([0.0, 1.0, 2.0])}, np.array([False, True, True]), np.array(["a", "b", "b"]))
    record = compare(three, np.array([0.0, 2.0, 1.0]), None)
    assert record["auroc"]["value"] == 1.0
    assert record["auroc"]["low"] is None
    assert record["difference"]["low"] is None
