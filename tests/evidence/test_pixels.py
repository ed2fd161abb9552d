"""Pixel metrics from histograms against exact ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anomalib.metrics.aupro import _AUPRO
from sklearn.metrics import roc_auc_score

from medanomaly.evidence.pixels import PixelCurves


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
    assert curves.stacked().aupro() == pytest.approx(1)
    empty = PixelCurves()
    empty.update(torch.rand(2, 8, 8), torch.zeros(2, 8, 8, dtype=torch.bool))
    assert np.isnan(empty.stacked().auroc())
    assert np.isnan(empty.stacked().aupro())
