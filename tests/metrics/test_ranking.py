"""Metrics against scikit-learn over many random cases, ties and constant scores included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from medanomaly.metrics.ranking import Ranking, auroc, midranks, spearman


def cases(number: int):
    rng = np.random.default_rng(0)
    for _ in range(number):
        n = int(rng.integers(2, 80))
        truth = rng.random(n) < rng.uniform(0.05, 0.95)
        truth[:2] = True, False
        levels = int(rng.choice([1, 2, 5, 1000]))  # 1: constant; few: many ties
        scores = rng.integers(0, levels, n) * 10.0 ** rng.integers(-5, 6) - rng.normal()
        yield scores, truth, rng


def test_auroc_and_average_precision_equal_scikit_learn():
    for scores, truth, _ in cases(600):
        ranking = Ranking(scores, truth)
        assert ranking.auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert ranking.average_precision() == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


def test_weights_count_images_several_times():
    for scores, truth, rng in cases(200):
        weights = rng.integers(0, 4, len(truth))
        repeated, labels = np.repeat(scores, weights), np.repeat(truth, weights)
        ranking = Ranking(scores, truth)
        if labels.any() and not labels.all():
            assert ranking.auroc(weights) == pytest.approx(roc_auc_score(labels, repeated), abs=1e-12)
            assert ranking.average_precision(weights) == pytest.approx(
                average_precision_score(labels, repeated), abs=1e-12
            )
        else:
            assert np.isnan(ranking.auroc(weights))


def test_partial_auroc_equals_scikit_learn():
    for scores, truth, rng in cases(300):
        limit = float(rng.choice([0.01, 0.1, 0.3, 0.5, 1.0]))
        expected = roc_auc_score(truth, scores, max_fpr=limit)
        assert Ranking(scores, truth).partial_auroc(limit) == pytest.approx(expected, abs=1e-12)
        weights = rng.integers(1, 4, len(truth))
        assert Ranking(scores, truth).partial_auroc(limit, weights) == pytest.approx(
            roc_auc_score(np.repeat(truth, weights), np.repeat(scores, weights), max_fpr=limit), abs=1e-12
        )


def test_partial_auroc_of_chance_and_perfection():
    truth = np.arange(40) >= 20
    assert Ranking(truth.astype(float), truth).partial_auroc(0.1) == pytest.approx(1)
    assert Ranking(np.ones(40), truth).partial_auroc(0.1) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="false-positive rate"):
        Ranking(np.ones(40), truth).partial_auroc(0)


def test_a_perfect_ranking_is_exactly_one_in_every_draw():
    rng = np.random.default_rng(5)
    for _ in range(300):
        normal, abnormal = rng.integers(2, 60, 2)
        scores = np.concatenate([rng.normal(size=normal), 20 + rng.normal(size=abnormal)])
        truth = np.arange(len(scores)) >= normal
        weights = rng.integers(0, 3, len(scores))
        weights[[0, -1]] += 1
        for max_fpr in (0.05, 0.1, 0.3, 1.0):
            assert Ranking(scores, truth).areas(max_fpr, weights) == (1.0, 1.0, 1.0)
            auroc, partial, average = Ranking(-scores, truth).areas(max_fpr, weights)
            assert auroc == 0
            assert 0 <= partial <= 0.5
            assert 0 < average < 1


@pytest.mark.parametrize("abnormal", [True, False])
def test_one_class_is_undefined(abnormal):
    ranking = Ranking(np.arange(5.0), np.full(5, abnormal))
    assert np.isnan(ranking.auroc())
    assert np.isnan(ranking.partial_auroc(0.1))


def test_nan_scores_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        Ranking(np.array([1.0, np.nan]), np.array([True, False]))


def test_midranks_are_scipys_to_the_bit():
    for scores, truth, _ in cases(300):
        np.testing.assert_array_equal(midranks(scores), rankdata(scores))
        np.testing.assert_array_equal(midranks(scores[truth]), rankdata(scores[truth]))


def test_auroc_is_that_of_rank_sums_to_the_bit():
    """``data check`` took it from rank sums before: what it published stays."""
    for scores, truth, _ in cases(300):
        positive, negative = int(truth.sum()), int((~truth).sum())
        above = (rankdata(scores)[truth].sum() - positive * (positive + 1) / 2) / (positive * negative)
        assert auroc(scores, truth) == above


def test_auroc_without_a_class_or_of_scores_that_are_not_finite_is_undefined():
    assert np.isnan(auroc(np.arange(3.0), np.zeros(3, dtype=bool)))
    assert np.isnan(auroc(np.array([1.0, np.nan]), np.array([True, False])))
    assert np.isnan(auroc(np.empty(0), np.empty(0, dtype=bool)))


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_is_scipys(ties):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (2, 60)) * 1.0 if ties else rng.normal(size=(2, 60))
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, a) == pytest.approx(1)


def test_spearman_of_constant_scores():
    assert spearman(np.ones(5), np.ones(5)) == 1
    assert spearman(np.arange(5), np.ones(5)) == 0
