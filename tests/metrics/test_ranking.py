"""Metrics against scikit-learn over many random cases, ties and constant scores included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from medanomaly.metrics.ranking import Confusion, GroupBootstrap, Ranking, wilson


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


def test_decisions_equal_scikit_learn():
    for scores, truth, rng in cases(300):
        decision = scores > rng.choice(scores)
        table = Confusion.of(decision, truth)
        tn, fp, fn, tp = confusion_matrix(truth, decision).ravel()
        assert (table.true_negative, table.false_positive, table.false_negative, table.true_positive) == (
            tn,
            fp,
            fn,
            tp,
        )


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


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, table I, Wilson's method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_matches_published_examples(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_edges():
    assert wilson(10, 10)[1] == 1.0
    assert np.isnan(wilson(0, 0)).all()


def test_bootstrap_of_independent_images_matches_the_mean_s_error():
    values = np.random.default_rng(0).normal(size=400)
    bootstrap = GroupBootstrap(np.arange(400), draws=2000)
    low, high = bootstrap.interval(lambda w: float((w * values).sum() / w.sum()))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.012)


def test_groups_widen_the_interval():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(size=20), 20)

    def mean(w):
        return float((w * values).sum() / w.sum())

    grouped = GroupBootstrap(np.repeat(np.arange(20), 20)).interval(mean)
    single = GroupBootstrap(np.arange(400)).interval(mean)
    assert grouped[1] - grouped[0] > 3 * (single[1] - single[0])


def test_bootstrap_repeats_and_needs_two_groups():
    def mean(w):
        return float(w.mean())

    assert GroupBootstrap(np.arange(9), 50).interval(mean) == GroupBootstrap(np.arange(9), 50).interval(mean)
    assert np.isnan(GroupBootstrap(np.zeros(9)).interval(mean)).all()


def test_student_intervals_are_wider_than_percentiles_and_stay_on_their_scale():
    rng = np.random.default_rng(0)
    truth = np.arange(40) < 20
    ranking = Ranking(rng.normal(size=40) + 2 * truth, truth)
    bootstrap = GroupBootstrap(np.arange(40), 500)
    ends = {method: bootstrap.interval(ranking.auroc, method) for method in ("percentile", "student", "student-logit")}
    value = ranking.auroc()
    assert sum(ends["student"]) / 2 == pytest.approx(value)
    low, high = ends["student-logit"]
    assert 0 < low < value < high < 1
    assert np.log(low / (1 - low)) + np.log(high / (1 - high)) == pytest.approx(2 * np.log(value / (1 - value)))
    assert ends["percentile"][0] > low


def test_a_draw_close_to_the_end_of_the_scale_keeps_the_interval_within():
    values = np.where(np.arange(200) % 2 == 0, 1e-300, 1 - 2**-53)
    assert GroupBootstrap(np.arange(2), 200).ends(values, 0.5, "student-logit") == (0.0, 1.0)


def test_student_intervals_undefined_at_the_ends_and_without_variation():
    bootstrap, truth = GroupBootstrap(np.arange(20), 50), np.arange(20) < 10
    perfect = Ranking(truth.astype(float), truth)
    assert np.isnan(bootstrap.interval(perfect.auroc, "student-logit")).all()
    assert np.isnan(bootstrap.interval(perfect.auroc, "student")).all()
    with pytest.raises(ValueError, match="logit scale"):
        bootstrap.interval(lambda w: float(w.sum()), "student-logit")
    with pytest.raises(ValueError, match="no bootstrap method"):
        bootstrap.interval(perfect.auroc, "bca")
