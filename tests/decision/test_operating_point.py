"""The post-processor in anomalib's hands."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from anomalib.data import ImageBatch
from sklearn.metrics import roc_auc_score

from medanomaly.decision import OperatingPoint
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.decision.rules import RuleError

TRAINER = SimpleNamespace(sanity_checking=False)


def batch(scores: np.ndarray, abnormal: np.ndarray) -> ImageBatch:
    scores_ = torch.from_numpy(scores.astype(np.float32))
    return ImageBatch(
        image=torch.zeros(len(scores), 3, 4, 4),
        gt_label=torch.from_numpy(abnormal),
        pred_score=scores_,
        anomaly_map=scores_[:, None, None].repeat(1, 4, 4),
        image_path=[str(i) for i in range(len(scores))],
    )


def validate(point: OperatingPoint, scores: np.ndarray, abnormal: np.ndarray) -> None:
    point.on_validation_epoch_start(TRAINER, None)
    for part in np.array_split(np.arange(len(scores)), 3):
        point.on_validation_batch_end(TRAINER, None, batch(scores[part], abnormal[part]))
    point.on_validation_epoch_end(TRAINER, None)


@pytest.mark.parametrize("labelled", [True, False])
def test_auroc_after_the_map_is_the_raw_auroc(labelled):
    # The trap: anomalib clamps, and with normals-only validation prints 0.70 for a raw AUROC of 0.89.
    rng = np.random.default_rng(0)
    normal, abnormal = rng.normal(100, 5, 300), rng.normal(108, 8, 300)
    point = OperatingPoint("quantile", 0.95)
    validate(point, np.concatenate([normal[:100], abnormal[: 100 * labelled]]), np.arange(100 + 100 * labelled) >= 100)
    raw = np.concatenate([normal[100:], abnormal[100:]]).astype(np.float32)
    truth = np.arange(400) >= 200
    out = batch(raw, truth)
    point.on_test_batch_end(TRAINER, None, out)
    assert roc_auc_score(truth, out.pred_score.numpy()) == pytest.approx(roc_auc_score(truth, raw), abs=1e-6)
    np.testing.assert_array_equal(out.raw_score.numpy(), raw)
    threshold = np.float32(np.quantile(normal[:100].astype(np.float32).astype(float), 0.95))
    np.testing.assert_array_equal(out.pred_label.numpy(), raw > threshold)
    np.testing.assert_array_equal(out.pred_label.numpy(), out.pred_score.numpy() > 0.5)
    assert out.pred_score.min() > 0
    assert out.pred_score.max() < 1


def test_validation_normals_alone_choose_the_threshold():
    rng = np.random.default_rng(1)
    normal = rng.normal(size=90)
    points = []
    for extra in (0, 50):
        point = OperatingPoint("sigma", 2)
        validate(point, np.concatenate([normal, rng.normal(5, 1, extra)]), np.arange(90 + extra) >= 90)
        points.append(point.record())
    assert points[0]["threshold"] == points[1]["threshold"]
    assert points[1]["fitted_on"] == {"normal": 90, "abnormal": 50}


def test_sanity_check_does_not_choose():
    point = OperatingPoint()
    point.on_validation_epoch_start(TRAINER, None)
    point.on_validation_batch_end(TRAINER, None, batch(np.ones(3), np.zeros(3, bool)))
    point.on_validation_epoch_end(SimpleNamespace(sanity_checking=True), None)
    with pytest.raises(RuntimeError, match="never validated"):
        point.post_process_batch(batch(np.ones(3), np.zeros(3, bool)))


def test_abnormal_pixels_without_a_mask_do_not_set_the_pixel_threshold():
    point = OperatingPoint("quantile", 0.95, "quantile", 1.0)
    validate(point, np.array([1.0, 2.0, 3.0, 90.0]), np.array([False, False, False, True]))
    assert point.record()["pixel"]["threshold"] == 3.0


def test_state_and_options_survive_a_reload():
    point = OperatingPoint("sigma", 3, "quantile", 0.9)
    validate(point, np.random.default_rng(0).normal(size=40), np.zeros(40, bool))
    again = OperatingPoint()
    again.load_state_dict(point.state_dict())
    again.load_checkpoint_config(point.checkpoint_config())
    assert again.record() == point.record()


def test_f1_on_normals_only_lists_the_rules_that_work():
    with pytest.raises(RuleError, match="Rules that would work"):
        validate(OperatingPoint("f1"), np.arange(5.0), np.zeros(5, bool))


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("conformal", 0.1),
        ("sigma_two_sided", 1.5),
        ("cost", {"miss": 10.0, "alarm": 1.0, "prevalence": 0.1}),
        ("youden", None),
    ],
)
def test_what_a_rule_keeps_survives_a_checkpoint_of_another_size(rule, value, tmp_path):
    rng = np.random.default_rng(0)
    point, again = OperatingPoint(rule, value), OperatingPoint()
    validate(point, rng.normal(size=60), np.arange(60) >= 40)
    validate(again, rng.normal(size=9), np.zeros(9, bool))
    point.history = [{"rule": "quantile", "value": 0.95, "until": "2026-11-25"}]
    torch.save({"state": point.state_dict(), "config": point.checkpoint_config()}, tmp_path / "point.ckpt")
    loaded = torch.load(tmp_path / "point.ckpt", weights_only=True)
    again.load_state_dict(loaded["state"])
    again.load_checkpoint_config(loaded["config"])
    assert again.record() == point.record()
    assert again.validation == point.validation
    assert json.loads(json.dumps(again.record())) == point.record()
    raw = batch(rng.normal(size=30), np.zeros(30, bool))
    again.post_process_batch(raw)
    np.testing.assert_array_equal(
        DecisionFunction.of(point.record()).abnormal(raw.raw_score.numpy()), raw.pred_label.numpy()
    )
    np.testing.assert_allclose(
        DecisionFunction.of(point.record()).score(raw.raw_score.numpy()), raw.pred_score.numpy(), atol=1e-6
    )


def test_a_checkpoint_from_before_the_scores_were_kept_is_read():
    point, again = OperatingPoint("quantile", 0.9), OperatingPoint("quantile", 0.9)
    validate(point, np.arange(10.0), np.zeros(10, bool))
    old = {name: value for name, value in point.state_dict().items() if name not in ("packed", "image_centre")}
    again.load_state_dict(old)
    assert again.record() == point.record()
    assert again.validation == {}


def test_validation_scores_are_kept_with_their_images():
    point = OperatingPoint()
    scores = np.random.default_rng(0).normal(size=9)
    validate(point, scores, np.arange(9) >= 6)
    rows = point.validation
    np.testing.assert_array_equal(np.float32(rows["raw_score"]), np.float32(scores))
    assert rows["abnormal"] == [False] * 6 + [True] * 3
    assert rows["path"] == ["0", "1", "2"] * 3


def test_two_sided_flags_either_side_and_ranks_by_distance():
    point = OperatingPoint("sigma_two_sided", 2)
    validate(point, np.random.default_rng(0).normal(10, 1, 200), np.zeros(200, bool))
    record = point.record()
    assert record["low"] < 10 < record["high"]
    out = batch(np.array([5.0, 10.0, 15.0, record["low"] - 0.01, record["low"] + 0.01]), np.zeros(5, bool))
    point.post_process_batch(out)
    assert out.pred_label.tolist() == [True, False, True, True, False]
    assert out.pred_score.argsort()[0] == 1
    np.testing.assert_array_equal(out.pred_label.numpy(), out.pred_score.numpy() > 0.5)


def test_a_pixel_rule_for_images_only_is_refused():
    with pytest.raises(RuleError, match="not pixels"):
        OperatingPoint(pixel_rule="conformal", pixel_value=0.05)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_validation_images_without_a_finite_score_are_named(bad):
    scores, abnormal = np.arange(12.0), np.arange(12) >= 9
    scores[[3, 10]] = bad  # 10 is image 2 of the last batch
    with pytest.raises(RuleError, match=r"2 of 12 validation images have a score that is NaN or infinite: 3, 2\. Look"):
        validate(OperatingPoint("quantile", 0.95), scores, abnormal)
    with pytest.raises(RuleError, match="the model has diverged"):
        validate(OperatingPoint("quantile", 0.95), np.full(12, bad), abnormal)
