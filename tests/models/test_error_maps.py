"""Error maps against numpy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medanomaly.models.error_maps import (
    ERRORS,
    MapScore,
    error_map,
    score_error,
    ssim_map,
    structure_map,
    training_loss,
)

GENERATOR = torch.Generator().manual_seed(0)


def images(number: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(number, 3, size, size, generator=GENERATOR)


def logit(image: torch.Tensor) -> torch.Tensor:
    return torch.logit(image, eps=1e-6)


def test_ssim_of_an_inner_pixel_is_wangs_formula():
    a, b = images(), images()
    x, y = (t[0, 1, 4:11, 5:12].double().numpy() for t in (a, b))
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    expected = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance + 9e-4)
    expected /= (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4)
    assert float(ssim_map(a, b)[0, 1, 7, 8]) == pytest.approx(expected, rel=1e-4)


def test_structure_is_the_local_correlation_and_blind_to_brightness():
    a, b = images(), images()
    x, y = (t[0, 1, 4:11, 5:12].double().numpy() for t in (a, b))
    assert float(structure_map(a, b)[0, 1, 7, 8]) == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=0.01)
    same = structure_map(0.4 * a, 0.4 * a + 0.3)
    torch.testing.assert_close(same, torch.ones_like(same), atol=1e-3, rtol=0)


def test_relative_error_is_squared_error_over_local_variance():
    a, b = images(), images()
    x, y = (t[0, :, 4:11, 5:12].double().numpy() for t in (a, b))
    expected = (((x - y) ** 2).mean(axis=(1, 2)) / (x.var(axis=(1, 2)) + 1e-4)).mean()
    assert float(error_map("relative", a, logit(b))[0, 0, 7, 8]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_map_is_small_for_a_copy_and_finite_on_flat_images(kind):
    image = images()
    copied, wrong = error_map(kind, image, logit(image)), error_map(kind, image, logit(1 - image))
    assert copied.shape == (2, 1, 16, 16)
    assert copied.mean() < wrong.mean()
    for value in (0.0, 0.5, 1.0):
        flat = torch.full((1, 3, 16, 16), value)
        logits = torch.zeros(1, 3, 16, 16, requires_grad=True)
        error = error_map(kind, flat, logits)
        error.sum().backward()
        assert torch.isfinite(error).all()
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("kind", ["mse", "l1", "bce", "ssim", "ssim+l1"])
def test_the_loss_is_the_mean_of_the_map(kind):
    image, logits = images(), torch.randn(2, 3, 16, 16, generator=GENERATOR)
    torch.testing.assert_close(training_loss(kind, image, logits), error_map(kind, image, logits).mean())


def test_scores_take_mean_or_largest_values_of_the_smoothed_map():
    error = torch.zeros(1, 1, 10, 10)
    error[0, 0, 4, 4] = 9.0
    assert float(MapScore()(error)[0]) == pytest.approx(0.09)
    assert float(MapScore(score="top", top_share=0.01)(error)[0]) == 9
    score, smoothed = MapScore(smooth=3, score="top", top_share=0.01)(error)
    assert float(score) == pytest.approx(1)
    assert int((smoothed > 0).sum()) == 9


def test_two_sided_scores_are_distances_from_the_normal_mean():
    score = MapScore(two_sided=True)
    score.fit(torch.tensor([1.0, 2.0, 3.0]))
    error = torch.stack([torch.full((1, 4, 4), v) for v in (2.0, 0.0, 4.0)])
    expected = torch.tensor([0.0, 2.0, 2.0]) / math.sqrt(2 / 3)
    torch.testing.assert_close(score(error)[0], expected)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("x", None), "loss must be one of"), (("mse", "x"), "error must be one of"), (("structure", None), "loss must"),
     (("mse", None, 4), "odd")],
)  # fmt: skip
def test_wrong_options_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        score_error(*arguments)
    with pytest.raises(ValueError, match="smooth odd"):
        MapScore(smooth=2)
    with pytest.raises(ValueError, match="score must be"):
        MapScore(score="median")
