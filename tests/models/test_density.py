import logging

import numpy as np
import openvino as ov
import pytest
import torch
from scipy.stats import gaussian_kde, multivariate_normal
from sklearn.covariance import LedoitWolf

from medanomaly.edge.detector import core
from medanomaly.models.density import Gaussian, StandardNormal, standard_normal
from medanomaly.models.density_kernel import KernelDensity

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(12, 12)) * np.geomspace(3, 0.05, 12)
KINDS = [StandardNormal, Gaussian, KernelDensity]


def codes(number: int, length: int = 12) -> torch.Tensor:
    return torch.tensor(RNG.normal(size=(number, length)) @ MIXING[:length, :length] + 5, dtype=torch.float32)


def fitted(kind, train: torch.Tensor, **options):
    density = kind(**options)
    density.fit(train)
    return density


def test_the_prior_is_scipys_standard_normal():
    points = codes(20)
    expected = multivariate_normal(np.zeros(12), np.eye(12)).logpdf(points.numpy())
    np.testing.assert_allclose(StandardNormal()(points), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [Gaussian, KernelDensity])
def test_before_it_is_fitted_a_density_is_the_prior(kind):
    points = codes(5)
    assert torch.equal(kind()(points), standard_normal(points))


@pytest.mark.parametrize("number", [200, 8])
def test_the_gaussian_has_the_covariance_of_ledoit_and_wolf(number):
    train, points = codes(number), codes(30)
    reference = LedoitWolf().fit(train.double().numpy())
    density = fitted(Gaussian, train)
    expected = reference.mahalanobis(points.double().numpy())
    np.testing.assert_allclose(density.squared_mahalanobis(points), expected, rtol=1e-3)
    normal = multivariate_normal(reference.location_, reference.covariance_)
    np.testing.assert_allclose(density(points), normal.logpdf(points.double().numpy()), rtol=1e-3)


def test_directions_beyond_the_leading_ones_share_their_mean_variance():
    train, points = codes(300), codes(30)
    covariance = LedoitWolf().fit(train.double().numpy()).covariance_
    values, vectors = np.linalg.eigh(covariance)
    values[:-4] = values[:-4].mean()
    normal = multivariate_normal(train.double().numpy().mean(axis=0), vectors * values @ vectors.T)
    density = fitted(Gaussian, train, directions=4)
    np.testing.assert_allclose(density(points), normal.logpdf(points.double().numpy()), rtol=1e-3)


def scores_of(density: KernelDensity, points: torch.Tensor) -> np.ndarray:
    return (((points - density.mean) / density.std) @ density.axes).double().numpy()


@pytest.mark.parametrize("bandwidth", ["scott", "likelihood"])
def test_the_kernel_density_is_scipys_on_the_principal_components(bandwidth):
    train, points = codes(200), codes(30)
    density = fitted(KernelDensity, train, components=3, bandwidth=bandwidth)
    assert density.axes.shape == (12, 3)
    width = float(density.precision[0] ** -0.5)
    if bandwidth == "scott":
        assert width == pytest.approx(200 ** (-1 / 7), rel=1e-5)
    reference = gaussian_kde(scores_of(density, train).T, bw_method=width)
    np.testing.assert_allclose(density(points), reference.logpdf(scores_of(density, points).T), rtol=1e-3)


def test_the_likelihood_bandwidth_is_narrower_where_the_codes_lie_in_two_lumps():
    lumps = torch.randn(400, 2, generator=torch.manual_seed(0)) * 0.05
    lumps[200:] += 3
    scott = fitted(KernelDensity, lumps)
    chosen = fitted(KernelDensity, lumps, bandwidth="likelihood")
    assert chosen.precision[0] > 2 * scott.precision[0]
    between = torch.full((1, 2), 1.5)
    assert chosen(between) < scott(between) - 1


def test_components_are_as_many_as_explain_the_variance_and_no_more():
    flat = torch.randn(300, 2, generator=torch.manual_seed(0)) @ torch.randn(2, 10)
    assert fitted(KernelDensity, flat, variance=0.99).axes.shape == (10, 2)
    assert fitted(KernelDensity, torch.randn(300, 10), components=4, variance=1.0).axes.shape == (10, 4)


def test_cluster_centres_stand_for_many_points():
    train, points = codes(3000), codes(300)
    full, small = (fitted(KernelDensity, train, components=2, points=number) for number in (3000, 64))
    assert len(small.support) == 64
    assert float((full(points) - small(points)).abs().median()) < 0.1
    assert float(small.log_weight.exp().sum()) > 0


def test_a_code_longer_than_the_training_set_is_said_and_reduced(caplog):
    with caplog.at_level(logging.WARNING):
        density = fitted(KernelDensity, torch.randn(20, 343))
    assert density.axes.shape[1] <= 4
    assert "343 numbers" in caplog.text
    assert "20 training images" in caplog.text


@pytest.mark.parametrize("kind", [Gaussian, KernelDensity])
def test_training_images_that_are_all_the_same_give_finite_densities(kind):
    same = torch.full((9, 6), 0.3)
    density = fitted(kind, same)
    at, near, far = density(torch.stack([same[0], same[0] + 0.01, same[0] + 1]))
    assert torch.isfinite(torch.stack([at, near, far])).all()
    assert at > near > far


@pytest.mark.parametrize("kind", KINDS)
def test_far_codes_keep_their_order(kind):
    density = fitted(kind, codes(100))
    away = 5 + torch.logspace(1, 5, 30)[:, None] * torch.ones(1, 12)
    values = density(away)
    assert torch.isfinite(values).all()
    assert (values.diff() < 0).all()


@pytest.mark.parametrize("kind", [Gaussian, KernelDensity])
def test_a_fitted_density_reloads_into_a_new_object(kind):
    density, points = fitted(kind, codes(50)), codes(5)
    again = kind()
    again.load_state_dict(density.state_dict())
    assert torch.equal(again(points), density(points))


@pytest.mark.parametrize("kind", KINDS)
def test_openvino_equals_torch_near_and_far(kind, tmp_path):
    density = fitted(kind, codes(300)).eval()
    points = torch.cat([codes(40), 100 * codes(8)])
    torch.onnx.export(density, (points,), tmp_path / "density.onnx", dynamo=True, verbose=False)
    compiled = core().compile_model(
        ov.convert_model(tmp_path / "density.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    np.testing.assert_allclose(compiled(points.numpy())[0], density(points), rtol=1e-4)


@pytest.mark.parametrize("kind", [Gaussian, KernelDensity])
@pytest.mark.parametrize(
    ("train", "message"),
    [(torch.zeros(1, 4), "at least 2 training images"), (torch.full((4, 4), torch.nan), "diverged")],
)
def test_codes_without_a_density_are_refused(kind, train, message):
    with pytest.raises(ValueError, match=message):
        kind().fit(train)


@pytest.mark.parametrize("kind", [Gaussian, KernelDensity])
def test_codes_of_another_length_are_refused(kind):
    with pytest.raises(ValueError, match="fitted on codes of 12 numbers"):
        fitted(kind, codes(50))(codes(2, 6))


@pytest.mark.parametrize("options", [{"bandwidth": "silverman"}, {"components": 0}, {"variance": 1.5}])
def test_kernel_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="kde_"):
        KernelDensity(**options)
