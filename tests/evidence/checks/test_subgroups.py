"""Subgroups: which columns, which gaps, and which of them are marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medanomaly.evidence.checks.context import CheckError
from medanomaly.evidence.checks.overfitting import compare as overfitting
from medanomaly.evidence.checks.patient_leakage import shared
from medanomaly.evidence.checks.subgroups import Cases, columns, compare, gap, proportion
from medanomaly.metrics.interval import Interval, wilson


def cases(n: int = 600, worse: float = 2.5) -> tuple[Cases, np.ndarray]:
    """In view ``b`` abnormal images score lower by ``worse``."""
    rng = np.random.default_rng(0)
    abnormal, level = np.arange(n) % 2 == 1, np.array(["a", "b", "c"], dtype=object)[np.arange(n) // 2 % 3]
    scores = rng.normal(size=n) + 3 * abnormal - worse * (abnormal & (level == "b"))
    return Cases(scores, scores > 1.6, abnormal, np.arange(n)), level


def test_a_planted_gap_is_marked_and_nothing_else():
    record = compare(*cases())
    assert record["comparisons"] == 3
    marked = {
        (level["level"], metric): figure["value"]
        for level in record["levels"]
        for metric, figure in level["gap"].items()
        if figure["marked"] and figure["value"] < 0
    }
    assert set(marked) == {("b", "auroc"), ("b", "sensitivity")}
    assert [(level["images"], level["abnormal"]) for level in record["levels"]] == [(200, 100)] * 3


def test_no_gap_is_marked_by_chance_more_often_than_promised():
    rng, found = np.random.default_rng(1), 0
    for _ in range(100):
        abnormal, level = rng.random(240) < 0.5, rng.choice(["a", "b", "c", "d"], 240).astype(object)
        scores = rng.normal(size=240) + abnormal
        record = compare(Cases(scores, scores > 1, abnormal, np.arange(240)), level)
        found += any(one["gap"]["auroc"]["marked"] for one in record["levels"])
    assert found <= 11  # 5 in 100 are promised; more than 11 of 100 happen once in 200 times


def test_unknown_levels_are_in_no_level_and_no_rest_and_one_class_is_undefined():
    group, level = cases()
    level = level.copy()
    level[:60] = ""
    level[(level == "c") & ~group.abnormal] = "a"
    record = compare(group, level)
    assert record["unknown"] == 60
    only = record["levels"][2]
    assert (only["level"], only["normal"]) == ("c", 0)
    assert only["auroc"]["value"] is None
    assert only["specificity"]["value"] is None
    assert only["gap"]["auroc"]["value"] is None
    assert not only["gap"]["auroc"]["marked"]
    assert sum(one["images"] for one in record["levels"]) == 540


def test_proportions_are_wilsons_for_independent_images_and_wider_for_alike_ones():
    hits = np.arange(40) % 4 == 0
    found = proportion(hits, np.arange(40))
    assert (found.low, found.high) == pytest.approx(wilson(10, 40))
    alike = proportion(np.repeat([True, False, False, False], 10), np.arange(40) // 10)
    assert alike.value == found.value
    assert alike.high - alike.low > 1.5 * (found.high - found.low)
    assert proportion(np.ones(9, bool), np.zeros(9)).low < 0.3
    assert np.isnan(proportion(np.zeros(0, bool), np.zeros(0)).value)


def test_a_gap_is_a_difference_widened_for_comparisons():
    first, second = Interval(0.6, 0.5, 0.7), Interval(0.8, 0.75, 0.84)
    one, five = gap(first, second), gap(first, second, 5)
    assert one.value == pytest.approx(-0.2)
    assert one.low == pytest.approx(-0.2 - np.hypot(0.1, 0.04))
    assert one.high == pytest.approx(-0.2 + np.hypot(0.1, 0.05))
    assert five.low < one.low < one.high < five.high
    assert np.isnan(gap(Interval(np.nan, np.nan, np.nan), second).low)


def test_columns_are_those_with_levels_and_no_identifiers():
    n = 26
    table = pd.DataFrame(
        {
            "image_path": [f"{i}.png" for i in range(n)],
            "mask_path": ["", "m"] * 13,
            "label": ["x", "y"] * 13,
            "group": ["p", "q"] * 13,
            "patient": ["p", "q"] * 13,
            "patient_id": ["p", "q"] * 13,
            "view": ["pa", "ap"] * 13,
            "site": [1.0, 2.0, np.nan, 3.0] * 6 + [1.0, 2.0],
            "age": range(n),
            "constant": ["same"] * n,
        }
    )
    found = columns(table)
    assert set(found) == {"view", "site"}
    assert (found["site"] == "").sum() == 6


def test_shared_groups_are_counted_by_split():
    table = pd.DataFrame({"split": ["train", "val", "test", "test", "test"], "group": ["a", "b", "a", "b", "a"]})
    record = shared(table)
    assert record["shared"] == {"train": {"groups": 1, "images": 2}, "val": {"groups": 1, "images": 1}}
    assert record["examples"] == ["a", "b"]
    with pytest.raises(CheckError, match="no column group"):
        shared(table[["split"]])
    with pytest.raises(CheckError, match="no test image"):
        shared(table[:2])


def test_overfitting_is_one_where_every_validation_image_scores_higher():
    record = overfitting(np.arange(50.0), np.arange(50.0) + 100, np.arange(100))
    assert record["auroc"]["value"] == 1.0
    assert (record["training"], record["validation"]) == (50, 50)
    with pytest.raises(CheckError, match="validation"):
        overfitting(np.zeros(3), np.zeros(0), np.zeros(3))
