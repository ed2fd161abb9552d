"""Figures of a run's images."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef, roc_auc_score

from medanomaly.evidence.image_figures import image_metrics


def table(number: int = 200, shift: float = 1.5, seed: int = 0, groups: int | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    abnormal = np.arange(number) % 4 == 0
    raw = rng.normal(size=number) + shift * abnormal
    return pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(number)],
            "abnormal": abnormal,
            "raw_score": raw,
            "decision": raw > 1,
            "group": np.arange(number) // (number // groups if groups else 1),
        }
    )


def test_figures_equal_scikit_learn():
    rows = table()
    found = image_metrics(rows)
    truth, raw, decision = rows["abnormal"], rows["raw_score"], rows["decision"]
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(truth, raw), abs=1e-12)
    assert found["partial_auroc"]["value"] == pytest.approx(roc_auc_score(truth, raw, max_fpr=0.1), abs=1e-9)
    assert found["mcc"]["value"] == pytest.approx(matthews_corrcoef(truth, decision), abs=1e-12)
    assert found["f1"]["value"] == pytest.approx(f1_score(truth, decision), abs=1e-12)
    assert found["flag_all_f1"] == pytest.approx(2 * 0.25 / 1.25)
    for name in ("auroc", "partial_auroc", "average_precision", "f1", "mcc", "balanced_accuracy"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"], name


def test_the_interval_of_groups_is_wider_than_that_of_images():
    """Copies of an image under one group add nothing that is known."""
    single = table(60)
    copies = pd.concat([single] * 5).assign(group=np.tile(np.arange(60), 5))
    blind = copies.assign(group=np.arange(300))
    once, right, wrong = (image_metrics(rows)["auroc"] for rows in (single, copies, blind))
    assert once["low"] == pytest.approx(right["low"], abs=0.01)
    assert once["delong"]["low"] == pytest.approx(right["delong"]["low"], abs=0.01)
    assert wrong["high"] - wrong["low"] < 0.6 * (right["high"] - right["low"])


def test_predictive_values_follow_bayes_at_the_stated_and_the_own_prevalence():
    rows = table()
    found = image_metrics(rows, prevalences=(0.02,))
    sensitivity, specificity = found["sensitivity"]["value"], found["specificity"]["value"]
    stated, own = found["predictive_values"]
    expected = sensitivity * 0.02 / (sensitivity * 0.02 + (1 - specificity) * 0.98)
    assert stated["prevalence"] == 0.02
    assert not stated["of_test"]
    assert stated["ppv"]["value"] == pytest.approx(expected)
    assert own["of_test"]
    assert own["ppv"]["value"] == pytest.approx(found["precision"]["value"])


def test_calibration_is_fitted_on_validation_with_both_classes_alone():
    test, validation = table(400, seed=1), table(400, seed=2)
    found = image_metrics(test, validation=validation)["calibration"]
    assert found["ece"] < 0.08
    assert found["brier"] < 0.25 * 0.75
    assert found["model"]["fitted_on"] == {"normal": 300, "abnormal": 100}
    assert sum(point["count"] for point in found["curve"]) == 400
    assert image_metrics(test)["calibration"] is None
    assert image_metrics(test, validation=validation[~validation["abnormal"]])["calibration"] is None


def test_a_missing_class_leaves_what_cannot_be_known_undefined():
    found = image_metrics(table()[lambda rows: ~rows["abnormal"]], validation=table())
    for name in ("auroc", "partial_auroc", "average_precision", "balanced_accuracy", "mcc"):
        assert found[name]["value"] is None, name
    assert found["auroc"]["delong"]["low"] is None
    assert found["specificity"]["value"] is not None
    assert found["flag_all_f1"] is None
    assert [row["of_test"] for row in found["predictive_values"]] == [False, False]


def test_equal_scores_and_three_images_give_figures_or_none():
    same = image_metrics(table().assign(raw_score=1.0, decision=False))
    assert same["auroc"]["value"] == 0.5
    assert same["mcc"]["value"] is None
    three = image_metrics(table(4).iloc[:3])
    assert three["images"] == 3
    assert three["auroc"]["value"] is not None


def test_a_score_that_is_no_number_is_named():
    rows = table().assign(raw_score=lambda t: t["raw_score"].where(t.index != 7, np.nan))
    with pytest.raises(ValueError, match=r"1 images have a NaN or infinite score: 7\.png"):
        image_metrics(rows)


def few(normal: list[float], abnormal: list[float], threshold: float = 0.5) -> pd.DataFrame:
    raw = np.array([*normal, *abnormal], dtype=float)
    return pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(len(raw))],
            "abnormal": np.arange(len(raw)) >= len(normal),
            "raw_score": raw,
            "decision": raw > threshold,
            "group": np.arange(len(raw)),
            "part_only": raw,
        }
    )


def test_draws_that_do_not_vary_give_no_interval_of_width_0():
    found = image_metrics(few([0.0, 0.1, 0.2, 0.3], [0.7, 0.8, 0.9, 1.0]))
    for auroc in (found["auroc"], found["parts"]["only"]):
        assert (auroc["value"], auroc["high"]) == (1.0, 1.0)
        assert auroc["low"] == pytest.approx(0.582, abs=1e-3)  # Hanley and McNeil's score interval of 1 on 4 and 4
        assert auroc["interval"] == "95 % Hanley and McNeil, score"
    for name in ("partial_auroc", "average_precision", "f1", "mcc"):
        assert found[name]["value"] == 1.0, name
        assert (found[name]["low"], found[name]["high"], found[name]["interval"]) == (None, None, ""), name
        assert found[name]["reason"].startswith("all draws gave the same value"), name


def test_equal_scores_have_the_interval_of_chance():
    found = image_metrics(few([1.0] * 6, [1.0] * 5))["auroc"]
    assert found["low"] < 0.3 < 0.5 < 0.7 < found["high"]
    assert found["interval"] == "95 % Hanley and McNeil, score"


def test_one_image_a_class_and_one_group_have_no_interval():
    found = image_metrics(few([1.0], [0.0]))["auroc"]
    assert (found["value"], found["low"], found["high"]) == (0.0, None, None)
    assert "same value" in found["reason"]
    one_patient = image_metrics(few([0.0, 0.6, 0.2], [0.4, 0.8]).assign(group=1))
    for name in ("auroc", "f1", "mcc"):
        assert one_patient[name]["value"] is not None
        assert one_patient[name]["low"] is None
        assert "one group" in one_patient[name]["reason"]


def test_each_undefined_figure_names_its_cause():
    normal = image_metrics(few([0.1, 0.9, 0.3], []))
    for name in ("sensitivity", "precision", "f1", "mcc", "balanced_accuracy", "likelihood_ratio_positive"):
        assert normal[name]["value"] is None, name
        assert normal[name]["low"] is None, name
        assert normal[name]["reason"] == "the test set has only normal images", name
    assert normal["precision"]["count"] == [0, 1]
    assert "reason" not in normal["specificity"]
    abnormal = image_metrics(few([], [0.1, 0.9, 0.3]))
    assert abnormal["mcc"]["reason"] == abnormal["specificity"]["reason"] == "the test set has only abnormal images"
    passed, flagged = (image_metrics(few([0.1, 0.2, 0.4], [0.3, 0.4], threshold)) for threshold in (9, -9))
    assert passed["mcc"]["reason"] == flagged["mcc"]["reason"] == "all images are decided alike"
    assert passed["precision"]["reason"] == "no image is flagged"
    assert passed["likelihood_ratio_positive"]["reason"] == "no normal image is flagged"
    assert flagged["likelihood_ratio_negative"]["reason"] == "no normal image passes"
    assert image_metrics(few([], [0.1]).drop(columns="decision"))["f1"]["reason"].startswith("the model has no")
    unranked = image_metrics(few([0.1], []).drop(columns="raw_score"))
    assert unranked["auroc"]["reason"] == "raw scores are not known"
    assert unranked["sensitivity"]["reason"] == "the test set has only normal images"
