"""Calibration against scikit-learn, and what is undefined."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from medanomaly.metrics.calibration import (
    brier,
    calibrate,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from medanomaly.metrics.interval import wilson


def sample(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    return 1e-3 * (rng.normal(size=n) + 1.5 * truth), truth


def test_bins_equal_scikit_learn_s():
    rng = np.random.default_rng(0)
    probability = rng.random(1000)
    truth = rng.random(1000) < probability
    found = reliability(probability, truth, 10)
    observed, predicted = calibration_curve(truth, probability, n_bins=10, strategy="quantile")
    assert [one.observed for one in found] == pytest.approx(observed, abs=0.011)  # cuts may lie one image apart
    assert [one.probability for one in found] == pytest.approx(predicted, abs=0.011)
    assert [one.images for one in found] == [100] * 10
    assert all((one.low, one.high) == wilson(one.abnormal, one.images) for one in found)


def test_equal_probabilities_stay_together():
    probability = np.repeat([0.1, 0.5, 0.9], [50, 5, 45])
    found = reliability(probability, np.arange(100) % 2 == 0, 10)
    assert [(one.probability, one.images) for one in found] == [
        (pytest.approx(0.1), 50), (pytest.approx(0.5), 5), (pytest.approx(0.9), 45)
    ]  # fmt: skip


def test_fewer_images_than_bins():
    found = reliability(np.array([0.2, 0.7, 0.4]), np.array([False, True, False]), 10)
    assert [one.images for one in found] == [1, 1, 1]


def test_calibration_error_by_hand():
    probability, truth = np.repeat([0.2, 0.8], 10), np.arange(20) >= 15
    # Of ten at 0.2 none is abnormal; of ten at 0.8 five are.
    assert expected_calibration_error(probability, truth, 2) == pytest.approx((10 * 0.2 + 10 * 0.3) / 20)
    assert expected_calibration_error(truth.astype(float), truth) == 0


def test_brier_equals_scikit_learn_and_takes_weights():
    rng = np.random.default_rng(1)
    probability, truth, weights = rng.random(50), rng.random(50) < 0.4, rng.integers(0, 4, 50)
    assert brier(probability, truth) == pytest.approx(brier_score_loss(truth, probability))
    assert brier(probability, truth, weights) == pytest.approx(
        brier_score_loss(np.repeat(truth, weights), np.repeat(probability, weights))
    )


def test_nothing_is_undefined():
    empty, none = np.empty(0), np.empty(0, dtype=bool)
    assert reliability(empty, none) == []
    assert np.isnan(expected_calibration_error(empty, none))
    assert np.isnan(brier(empty, none))


def test_raw_scores_are_refused_as_probabilities():
    for wrong in (np.array([0.5, 1.5]), np.array([0.5, np.nan])):
        with pytest.raises(ValueError, match="probability"):
            reliability(wrong, np.array([True, False]))
    with pytest.raises(ValueError, match="one length"):
        brier(np.array([0.5]), np.array([True, False]))


def test_platt_is_the_maximum_of_its_likelihood():
    raw, truth = sample()
    found = fit_platt(raw, truth)
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    probability = calibrate(found, raw)
    # There the gradient in intercept and slope is zero.
    assert (probability - target).sum() == pytest.approx(0, abs=1e-2)
    assert ((probability - target) * raw / raw.std()).sum() == pytest.approx(0, abs=1e-2)
    assert found["fitted_on"] == {"normal": int((~truth).sum()), "abnormal": int(truth.sum())}


def test_platt_stays_finite_where_scores_separate():
    found = fit_platt(np.arange(20.0), np.arange(20) >= 10)
    assert np.isfinite([found["slope"], found["intercept"]]).all()
    assert found["slope"] > 0
    assert fit_platt(-np.arange(20.0), np.arange(20) >= 10)["slope"] < 0


def test_constant_scores_give_about_the_prevalence():
    truth = np.arange(100) < 30
    assert calibrate(fit_platt(np.full(100, 7.0), truth), 7.0) == pytest.approx(0.3, abs=0.02)


def test_parameters_survive_json_and_improve_the_fit():
    raw, truth = sample()
    found = json.loads(json.dumps(fit_platt(raw, truth), allow_nan=False))
    new, what = sample(2000, seed=1)
    probability = calibrate(found, new.reshape(50, 40))
    assert probability.shape == (50, 40)
    assert 0 <= probability.min() <= probability.max() <= 1
    assert brier(probability.ravel(), what) < what.mean() * (1 - what.mean())
    assert expected_calibration_error(probability.ravel(), what) < 0.09
    assert np.isnan(calibrate(found, np.nan))


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        fit_platt(np.arange(5.0), np.zeros(5, dtype=bool))
    with pytest.raises(ValueError, match="NaN"):
        fit_platt(np.array([1.0, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="no calibration"):
        calibrate({"kind": "beta"}, 1.0)
