"""Each caveat fires where it should and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.image_figures import image_metrics


def evidence(normal: np.ndarray, abnormal: np.ndarray, threshold: float, **changes) -> dict:
    scores = np.concatenate([normal, abnormal])
    table = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(len(scores))],
            "group": np.arange(len(scores)),
            "raw_score": scores,
            "abnormal": np.arange(len(scores)) >= len(normal),
            "decision": scores > threshold,
        }
    )
    record = {
        "run": {"options": {"two_sided": False}},
        "data": {"groups_known": True},
        "operating_point": {
            "rule": "quantile",
            "value": 0.95,
            "threshold": threshold,
            "fitted_on": {"normal": 500, "abnormal": 0},
        },
        "image": image_metrics(table),
        "pixel": None,
    }
    return {**record, **changes}


def titles(record: dict) -> list[str]:
    return [caveat["title"] for caveat in caveats(record)]


RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=400)


def test_a_sound_run_has_none():
    assert titles(evidence(NORMAL, RNG.normal(2, 1, 300), np.quantile(NORMAL, 0.95))) == []


def test_inverted_score_says_what_to_set():
    found = caveats(evidence(NORMAL, RNG.normal(-1, 1, 300), np.quantile(NORMAL, 0.95)))
    assert found[0]["title"] == "The score is inverted"
    assert "two_sided: true" in found[0]["text"]


def test_chance_is_called_chance():
    assert "Chance cannot be ruled out" in titles(evidence(NORMAL, RNG.normal(0, 1, 300), 1.645))


def test_one_class_decided_rightly_throughout_is_not_called_useless():
    nothing, low, high = np.empty(0), np.full(50, -5.0), np.full(50, 5.0)
    for normal, abnormal in ((low, nothing), (nothing, high)):
        found = titles(evidence(normal, abnormal, 0.0))
        assert not [title for title in found if title.startswith("The operating point flags")]
    assert "The operating point flags every test image" in titles(evidence(high, nothing, 0.0))
    assert "The operating point flags no test image" in titles(evidence(nothing, low, 0.0))


def test_one_class_is_undefined_in_words_and_in_json():
    record = evidence(NORMAL, np.array([]), np.quantile(NORMAL, 0.95))
    assert titles(record) == ["The test set has no abnormal image"]
    assert record["image"]["auroc"]["value"] is None
    assert "only normal" in record["image"]["auroc"]["reason"]
    assert record["image"]["average_precision"]["value"] is None


def test_flagging_everything_and_nothing_are_named():
    abnormal = RNG.normal(2, 1, 300)
    assert "The operating point flags every test image" in titles(evidence(NORMAL, abnormal, -99))
    assert "The operating point flags no test image" in titles(evidence(NORMAL, abnormal, 99))


def test_a_threshold_that_moved_is_named():
    assert titles(evidence(NORMAL, RNG.normal(3, 1, 300), np.quantile(NORMAL, 0.7))) == [
        "The threshold does not hold on the test images"
    ]


def test_conformal_and_specificity_that_do_not_hold_are_named():
    abnormal, threshold = RNG.normal(3, 1, 300), np.quantile(NORMAL, 0.7)
    for rule, value in (("conformal", 0.05), ("specificity", 0.95)):
        record = evidence(NORMAL, abnormal, threshold)
        record["operating_point"] |= {"rule": rule, "value": value}
        assert titles(record) == ["The threshold does not hold on the test images"]
        assert "lets 5 % of healthy images" in caveats(record)[0]["text"]


def test_an_operating_point_changed_after_the_test_is_a_warning():
    record = evidence(NORMAL, RNG.normal(3, 1, 300), np.quantile(NORMAL, 0.95))
    earlier = {"rule": "cost", "value": {"miss": 2.0, "alarm": 1.0, "prevalence": 0.1}, "threshold": 1.25}
    record["operating_point"]["history"] = [{**earlier, "until": "2026-11-25T01:02:03+00:00"}]
    (found,) = caveats(record)
    assert found["severity"] == "warning"
    assert found["title"] == "The operating point was changed after the test"
    assert "cost (miss 2, alarm 1, prevalence 0.1) (threshold 1.25)" in found["text"]
    assert "once since, last on 2026-11-25 to quantile 0.95" in found["text"]


def test_a_threshold_from_few_abnormal_images_is_named():
    record = evidence(NORMAL, RNG.normal(3, 1, 300), np.quantile(NORMAL, 0.95))
    record["operating_point"] |= {"rule": "youden", "value": None, "fitted_on": {"normal": 500, "abnormal": 12}}
    (found,) = caveats(record)
    assert "chosen on 12 abnormal validation images" in found["text"]


def test_few_images_and_unknown_groups():
    record = evidence(NORMAL[:20], RNG.normal(4, 1, 300), np.quantile(NORMAL, 0.95), data={"groups_known": False})
    record["operating_point"]["fitted_on"]["normal"] = 12
    found = titles(record)
    assert {"Few test images", "Patients are not known", "The threshold rests on few images"} <= set(found)
    assert found[0] == "Few test images"  # warnings come first


def test_a_decision_no_better_than_flagging_everything_is_named():
    rng = np.random.default_rng(1)
    record = evidence(NORMAL[:100], rng.normal(1, 1, 390), np.quantile(NORMAL, 0.95))
    found = {caveat["title"]: caveat for caveat in caveats(record)}
    said = found["The decision is no better than flagging everything"]
    assert said["severity"] == "warning"
    assert "an F1 of 0.886" in said["text"]  # 2 p / (1 + p) at 390 of 490
    balanced = evidence(NORMAL, rng.normal(1.2, 1, 400), np.quantile(NORMAL, 0.95))
    assert {c["title"]: c["severity"] for c in caveats(balanced)} == {
        "F1 is no better than that of flagging everything": "note"
    }


def test_a_threshold_set_by_hand_is_exploratory():
    record = evidence(NORMAL, RNG.normal(3, 1, 300), 1.6)
    record["operating_point"] |= {"rule": "manual", "value": 1.6}
    assert titles(record) == ["The threshold was set by hand"]
    record["operating_point"]["history"] = [{"rule": "youden", "value": None, "threshold": 1.0, "until": "2026-11-25"}]
    assert titles(record) == ["The operating point was changed after the test"]


def test_wide_intervals_are_named():
    record = evidence(NORMAL[:35], RNG.normal(1, 1, 35), np.quantile(NORMAL, 0.95))
    (said,) = [caveat for caveat in caveats(record) if caveat["title"] == "Too few cases for a close figure"]
    assert "sensitivity from" in said["text"]


def test_no_score_is_called_inverted_by_one_image_a_class_or_an_interval_of_width_0():
    one = np.ones(1)
    assert "The score is inverted" not in titles(evidence(one, 0 * one, 0.5))
    many = evidence(np.arange(1.0, 60), 0 * one, 70.0)
    assert many["image"]["auroc"]["value"] == 0
    assert "The score is inverted" not in titles(many)
    older = evidence(np.ones(4), np.zeros(4), 2.0)
    assert "The score is inverted" in titles(older)
    older["image"]["auroc"] |= {"low": 0.0, "high": 0.0}
    assert "The score is inverted" not in titles(older)
    older["image"]["auroc"] |= {"low": None, "high": None}
    assert "The score is inverted" not in titles(older)


def test_equal_scores_are_called_chance():
    assert "Chance cannot be ruled out" in titles(evidence(np.ones(8), np.ones(8), 2.0))
