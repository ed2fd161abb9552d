"""Dice against a direct computation, FROC where masks enclose, the record, and anomalib's own pixel metrics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from anomalib.data import ImageBatch
from anomalib.engine import Engine
from anomalib.metrics import AUPRO
from anomalib.metrics import AUROC as PIXEL_AUROC
from scipy import ndimage
from sklearn.metrics import f1_score

from medanomaly.data import Phantom, Table
from medanomaly.evidence.pixel_figures import FROC_SIDE, PixelFigures, block_maximum, froc_points
from medanomaly.metrics.overlap import OverlapCounts
from medanomaly.models import Autoencoder


def case(seed: int, normal: int = 5, abnormal: int = 7, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((normal + abnormal, size, size), bool)
    for mask in masks[normal:]:
        for _ in range(rng.integers(1, 4)):
            y, x, h, w = rng.integers(0, size - 10, 2).tolist() + rng.integers(2, 10, 2).tolist()
            mask[y : y + h, x : x + w] = True
    maps = ndimage.gaussian_filter(rng.random(masks.shape), (0, 1, 1)) + 0.15 * masks
    return torch.from_numpy(maps / (maps.max() + 0.01)).float(), torch.from_numpy(masks)


@pytest.mark.parametrize("seed", range(4))
def test_dice_equals_f1_of_the_pixels(seed):
    maps, masks = case(seed)
    marked = (maps > 0.5).numpy()
    counts = OverlapCounts()
    counts.update(marked[:5], masks.numpy()[:5])
    counts.update(marked[5:], masks.numpy()[5:])
    overlap, truth = counts.stacked(), masks.numpy()
    each = [f1_score(t.ravel(), m.ravel()) for t, m in zip(truth[5:], marked[5:], strict=True)]
    assert overlap.per_image() == pytest.approx(np.mean(each), abs=1e-12)
    assert overlap.pooled() == pytest.approx(f1_score(truth[5:].ravel(), marked[5:].ravel()), abs=1e-12)
    assert overlap.marked_share() == pytest.approx(marked[:5].mean(), abs=1e-12)
    weights = np.random.default_rng(seed).integers(0, 3, 12)
    assert overlap.per_image(weights) == pytest.approx(np.average(each, weights=weights[5:]), abs=1e-12)
    index = np.repeat(np.arange(12), weights)
    again = OverlapCounts()
    again.update(marked[index], truth[index])
    assert overlap.pooled(weights) == pytest.approx(again.stacked().pooled(), abs=1e-12)
    assert overlap.marked_share(weights) == pytest.approx(again.stacked().marked_share(), abs=1e-12)


def test_a_small_lesion_counts_as_much_as_a_large_one_unless_pooled():
    masks = np.zeros((2, 20, 20), bool)
    masks[0, :2, :2], masks[1, :16, :16] = True, True
    marked = masks.copy()
    marked[0] = False  # the small one is missed
    counts = OverlapCounts()
    counts.update(marked, masks)
    assert counts.stacked().per_image() == 0.5
    assert counts.stacked().pooled() > 0.99


def test_dice_of_one_class_is_undefined_and_shapes_must_agree():
    counts = OverlapCounts()
    counts.update(np.ones((2, 4, 4), bool), np.zeros((2, 4, 4), bool))
    assert np.isnan(counts.stacked().per_image())
    assert np.isnan(counts.stacked().pooled())
    assert counts.stacked().marked_share() == 1
    full = OverlapCounts()
    full.update(np.ones((2, 4, 4), bool), np.ones((2, 4, 4), bool))
    assert np.isnan(full.stacked().marked_share())
    with pytest.raises(ValueError, match="alike"):
        counts.update(np.ones((2, 4, 4), bool), np.ones((2, 4, 5), bool))


@pytest.mark.parametrize("seed", range(3))
def test_anomalibs_own_metrics_agree_where_scores_lie_in_its_range(seed):
    maps, masks = case(seed)
    figures = PixelFigures()
    figures.update(maps, masks)
    histograms = figures.curves.stacked()
    fields = ["anomaly_map", "gt_mask"]
    batch = ImageBatch(image=torch.zeros(len(maps), 3, 32, 32), anomaly_map=maps, gt_mask=masks)
    for metric, ours, tolerance in (
        (PIXEL_AUROC(fields=fields), histograms.auroc(), 1e-4),
        (AUPRO(fields=fields), histograms.aupro(), 2e-3),
    ):
        metric.update(batch)
        assert ours == pytest.approx(float(metric.compute()), abs=tolerance)


def test_many_small_regions_are_counted_one_by_one():
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[0, ::4, ::4] = True
    masks[0, 40:44, 40:44] = True
    maps = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    figures = PixelFigures()
    figures.update(maps, masks)
    histograms = figures.curves.stacked()
    labels, number = ndimage.label(masks[0].numpy(), np.ones((3, 3)))
    level = torch.bucketize(maps, figures.curves._edges)[0].numpy()
    expected = sum(
        np.bincount(level[labels == i], minlength=histograms.regions.shape[1]) / (labels == i).sum()
        for i in range(1, number + 1)
    )
    np.testing.assert_allclose(histograms.regions[0], expected, atol=1e-6)
    assert histograms.region_number.tolist() == [number]


def test_the_record_is_plain_and_holds_intervals():
    maps, masks = case(0, 20, 20)
    figures = PixelFigures(froc=True)
    for part in (slice(0, 15), slice(15, 40)):
        figures.update(maps[part], masks[part], maps[part] > 0.6)
    record = figures.figures(np.arange(40), "Masks are boxes.")
    json.dumps(record, allow_nan=False)
    dice = record["dice"]
    assert 0 < dice["low"] < dice["value"] < dice["high"] < 1
    assert dice["images"] == dice["normal"]["images"] == 20
    assert dice["pooled"]["low"] < dice["pooled"]["value"] < dice["pooled"]["high"]
    assert 0 <= dice["normal"]["any_marked"]["value"] <= 1
    points = record["froc"]
    assert [p["false_positives"] for p in points] == sorted({p["false_positives"] for p in points})
    assert (np.diff([p["sensitivity"] for p in points]) >= 0).all()
    for at in record["froc_at"]:
        below = [p["sensitivity"] for p in points if p["false_positives"] <= at["false_positives"]]
        assert at["value"] == pytest.approx(max(below, default=0.0))


def test_what_cannot_be_said_is_none():
    maps, masks = case(0)
    without = PixelFigures()
    without.update(maps, masks, maps > 0.5)
    assert without.figures(np.arange(12))["froc"] is None
    assert without.figures(np.arange(12), threshold=False)["dice"] is None
    unmarked = PixelFigures(froc=True)
    unmarked.update(maps[:5], masks[:5])
    record = unmarked.figures(np.arange(5))
    json.dumps(record, allow_nan=False)
    assert record["dice"] is None
    assert record["froc"] is None
    assert record["froc_at"][0]["value"] is None
    marked = PixelFigures()
    marked.update(maps[:5], masks[:5], maps[:5] > 0.5)
    assert marked.figures(np.arange(5))["dice"]["value"] is None
    assert marked.figures(np.arange(5))["dice"]["reason"]


def test_large_maps_are_reduced_before_froc_and_keep_peaks_and_regions():
    maps = np.zeros((2, 600, 1000), np.float32)
    maps[0, 599, 999], maps[1, 100, 100] = 0.9, 0.8
    small = block_maximum(maps, FROC_SIDE)
    assert small.shape == (2, 150, 250)
    assert small[0, -1, -1] == np.float32(0.9)
    assert small[1, 25, 25] == np.float32(0.8)
    assert np.count_nonzero(small) == 2
    assert block_maximum(maps[:, :200, :200], 256) is not None
    assert block_maximum(maps[:, :250, 750:999], 100).shape == (2, 84, 83)
    figures = PixelFigures(froc=True)
    masks = np.zeros(maps.shape, bool)
    masks[1, 90:110, 90:110] = True
    figures.update(torch.from_numpy(maps), torch.from_numpy(masks))
    assert froc_points(figures.froc)[0] == {"false_positives": 0.0, "sensitivity": 0.0}
    assert froc_points(figures.froc)[-1] == {"false_positives": 1.0, "sensitivity": 1.0}


class Boxes(Phantom):
    masks_enclose = True


def test_a_run_holds_dice_at_its_pixel_threshold_and_froc_of_boxes(tmp_path, monkeypatch):
    monkeypatch.setattr("medanomaly.runs.evidence_files.render", lambda *args, **kwargs: "")
    for kind in (Phantom, Boxes):
        data = kind(root=tmp_path / "frames", train=16, val=8, test=8, image_size=16)
        model = Autoencoder(stages=2, width=4)
        arguments = {"enable_progress_bar": False, "accelerator": "cpu", "logger": False}
        engine = Engine(max_epochs=1, default_root_dir=tmp_path / kind.__name__, **arguments)
        engine.train(model, datamodule=data)
        pixel = json.loads((Path(engine.trainer.default_root_dir) / "evidence.json").read_text())["pixel"]
        batch = data.test_data.__getitems__(list(range(16)))
        with torch.no_grad():
            raw = model.eval().model(batch.image.as_subclass(torch.Tensor)).anomaly_map[:, 0]
        marked = (raw > model.post_processor.record()["pixel"]["threshold"]).numpy()
        truth = batch.gt_mask.numpy().astype(bool)
        seen = truth.any(axis=(1, 2))
        each = [f1_score(t.ravel(), m.ravel(), zero_division=0) for t, m in zip(truth[seen], marked[seen], strict=True)]
        assert pixel["dice"]["value"] == pytest.approx(np.mean(each), abs=1e-3)
        assert pixel["dice"]["images"] == seen.sum()
        assert (pixel["froc"] is None) == (kind is Phantom)
    assert pixel["froc"][-1]["sensitivity"] <= 1
    assert {"value", "low", "high"} <= set(pixel["froc_at"][0])


def test_a_table_says_whether_its_masks_enclose(tmp_path):
    assert Table(root=tmp_path, masks_enclose=True).masks_enclose
    assert not Table(root=tmp_path).masks_enclose
