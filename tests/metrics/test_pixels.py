"""Pixel metrics from histograms against exact ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anomalib.metrics.aupro import _AUPRO
from sklearn.metrics import roc_auc_score

from medanomaly.evidence.pixel_figures import PixelFigures
from medanomaly.metrics.pixels import PixelCurves, PixelHistograms


def maps_and_masks(seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((12, 40, 40), bool)
    for mask in masks[4:]:
        for _ in range(rng.integers(1, 4)):
            y, x, h, w = rng.integers(0, 30, 2).tolist() + rng.integers(2, 10, 2).tolist()
            mask[y : y + h, x : x + w] = True
    maps = rng.gamma(2, spread, masks.shape) + masks * rng.gamma(2, spread, masks.shape)
    return torch.from_numpy(maps / (1 + maps)).float(), torch.from_numpy(masks)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [1e-3, 0.3, 20])
def test_auroc_and_aupro_equal_exact_computations(seed, spread):
    maps, masks = maps_and_masks(seed, spread)
    curves = PixelCurves()
    for part in (slice(0, 5), slice(5, 12)):
        curves.update(maps[part], masks[part])
    histograms = curves.stacked()
    assert histograms.auroc() == pytest.approx(roc_auc_score(masks.numpy().ravel(), maps.numpy().ravel()), abs=1e-4)
    reference = _AUPRO()
    reference.update(maps, masks)
    assert histograms.aupro() == pytest.approx(float(reference.compute()), abs=2e-3)


def test_weights_count_images_several_times():
    maps, masks = maps_and_masks(0, 0.3)
    weights = np.random.default_rng(0).integers(0, 3, 12)
    curves, repeated = PixelCurves(), PixelCurves()
    curves.update(maps, masks)
    repeated._edges = curves._edges
    index = torch.from_numpy(np.repeat(np.arange(12), weights))
    repeated.update(maps[index], masks[index])
    assert curves.stacked().auroc(weights) == pytest.approx(repeated.stacked().auroc(), abs=1e-6)
    assert curves.stacked().aupro(weights) == pytest.approx(repeated.stacked().aupro(), abs=1e-6)


def test_perfect_maps_score_one_and_no_mask_is_undefined():
    _, masks = maps_and_masks(1, 0.3)
    curves = PixelCurves()
    curves.update(masks.float() * 0.8 + 0.1, masks)
    assert curves.stacked().auroc() == 1
    assert curves.stacked().aupro() == 1
    empty = PixelCurves()
    empty.update(torch.rand(2, 8, 8), torch.zeros(2, 8, 8, dtype=torch.bool))
    assert np.isnan(empty.stacked().auroc())
    assert np.isnan(empty.stacked().aupro())


def regions(rng: np.random.Generator, images: int, side: int) -> np.ndarray:
    """Masks (images, side, side) with regions of many sizes, single pixels among them; the first image has none."""
    masks = np.zeros((images, side, side), bool)
    for mask in masks[1:]:
        for _ in range(rng.integers(0, 6)):
            (y, x), (h, w) = rng.integers(0, side, 2), rng.integers(1, side // 2, 2)
            mask[y : y + h, x : x + w] = True
        mask[tuple(rng.integers(0, side, (2, rng.integers(0, 9))))] = True
    masks[1, 0, 0] = True
    masks[1:, -1, -1] = False  # something stays unmarked
    return masks


def gathered(maps: np.ndarray, masks: np.ndarray) -> PixelHistograms:
    curves = PixelCurves()
    curves.update(torch.from_numpy(maps.astype(np.float32)), torch.from_numpy(masks))
    return curves.stacked()


def draws(rng: np.random.Generator, images: int, number: int = 20) -> list[np.ndarray]:
    """Weights of bootstrap draws that hold both a region and normal pixels."""
    found = [np.bincount(rng.integers(0, images, images), minlength=images) for _ in range(number)]
    for weights in found:
        weights[1] += 1
    return found


@pytest.mark.parametrize("seed", range(200))
def test_areas_are_exactly_one_of_perfect_maps_and_zero_of_inverted_ones(seed):
    rng = np.random.default_rng(seed)
    masks = regions(rng, int(rng.integers(2, 30)), int(rng.integers(7, 40)))
    noise = rng.random(masks.shape)
    perfect = gathered(np.where(masks, 0.6 + 0.39 * noise, 0.4 * noise + 0.005), masks)
    inverted = gathered(np.where(masks, 0.4 * noise + 0.005, 0.6 + 0.39 * noise), masks)
    for weights in [None, *draws(rng, len(masks))]:
        assert (perfect.auroc(weights), perfect.aupro(weights)) == (1.0, 1.0)
        assert (inverted.auroc(weights), inverted.aupro(weights)) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(40))
def test_areas_of_good_maps_never_leave_the_scale(seed):
    rng = np.random.default_rng(seed)
    masks = regions(rng, 12, 30)
    strength = 10.0 ** rng.uniform(-3, 1)  # from noise to all but perfect
    maps = 1 / (1 + np.exp(-strength * (2 * masks - 1) - rng.normal(size=masks.shape)))
    histograms = gathered(maps, masks)
    found = np.array([(histograms.auroc(w), histograms.aupro(w), *histograms.areas(w)) for w in draws(rng, 12)])
    assert (found[:, :2] == found[:, 2:]).all()
    assert ((found >= 0) & (found <= 1)).all()
    truth = masks.ravel()
    assert histograms.auroc() == pytest.approx(roc_auc_score(truth, maps.ravel()), abs=1e-3)


def test_each_region_counts_alike_whatever_its_size():
    masks = np.zeros((1, 20, 20), bool)
    masks[0, :7, :7] = True  # 49 pixels: 49 × (1 / 49) is no 1 in floating point
    masks[0, 19, ::2] = True  # ten single pixels
    maps = np.full(masks.shape, 0.1)
    maps[0, :7, :7] = 0.9
    assert gathered(maps, masks).missed[0, -1] == 11
    # One of eleven regions is found without a false alarm; beyond that no threshold parts the rest from the frame.
    expected = 1 / 11 + (10 / 11) * 0.3 / 2
    assert gathered(maps, masks).aupro() == pytest.approx(expected, abs=1e-6)


def test_counts_stay_whole_beyond_what_32_bit_floats_hold():
    one, many = np.zeros((2, 2), np.uint32), 2**24 + 1
    one[:, 0] = many
    abnormal = np.array([[1, many]], np.uint32)
    histograms = PixelHistograms(one, abnormal, np.array([[0.0, 1.0]]), np.array([1, 0]))
    share = 1 / (1 + many)
    assert histograms.auroc() == pytest.approx(1 - share / 2, rel=1e-15)


def test_the_record_of_a_perfect_detector_holds_one_and_says_why_it_has_no_interval():
    rng = np.random.default_rng(3)
    masks = regions(rng, 40, 24)
    maps = torch.from_numpy(np.where(masks, 0.9, 0.1) + 0.05 * rng.random(masks.shape)).float()
    pixels = PixelFigures()
    pixels.update(maps, torch.from_numpy(masks), maps > 0.5)
    record = pixels.figures(np.arange(40))
    for figure in (record["auroc"], record["aupro"], record["dice"], record["dice"]["pooled"]):
        assert (figure["value"], figure["low"], figure["high"]) == (1.0, None, None)
        assert "all draws" in figure["reason"]
