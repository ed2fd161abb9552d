"""DeLong against sums over all pairs, written another way; groups, ties, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medanomaly.metrics.delong import auroc_difference, auroc_interval, covariance, hanley_mcneil, placements


def by_pairs(scores: list[np.ndarray], abnormal: np.ndarray) -> np.ndarray:
    """DeLong 1988, eq. 4, from the kernel of every pair."""
    kernels = []
    for one in scores:
        x, y = one[abnormal][:, None], one[~abnormal][None]
        kernels.append((x > y) + 0.5 * (x == y))
    m, n = kernels[0].shape
    return np.cov([k.mean(axis=1) for k in kernels]) / m + np.cov([k.mean(axis=0) for k in kernels]) / n


def cases(number: int, least: int = 2):
    rng = np.random.default_rng(0)
    for _ in range(number):
        m, n = rng.integers(least, 30, 2)
        truth = rng.permutation(np.arange(m + n) < m)
        levels = int(rng.choice([2, 5, 1000]))  # few: many ties
        yield [rng.integers(0, levels, m + n) + rng.integers(0, 2) * truth for _ in range(2)], truth, rng


def test_value_and_covariance_equal_sums_over_pairs():
    for scores, truth, _ in cases(200):
        assert covariance(scores, truth) == pytest.approx(by_pairs(scores, truth), abs=1e-12)
        found = auroc_difference(*scores, truth)
        assert found.first == pytest.approx(roc_auc_score(truth, scores[0]))
        assert found.value == pytest.approx(roc_auc_score(truth, scores[0]) - roc_auc_score(truth, scores[1]))


def test_placements_average_to_the_auroc():
    for (scores, _), truth, _ in cases(50):
        for part in placements(scores, truth):
            assert part.mean() == pytest.approx(roc_auc_score(truth, scores))
            assert part.min() >= 0
            assert part.max() <= 1


def test_groups_of_one_are_delong_and_order_does_not_matter():
    for scores, truth, rng in cases(50):
        groups, order = rng.permutation(len(truth)), rng.permutation(len(truth))
        plain = covariance(scores, truth)
        assert covariance(scores, truth, groups) == pytest.approx(plain, abs=1e-12)
        assert covariance([s[order] for s in scores], truth[order]) == pytest.approx(plain, abs=1e-12)


def test_copies_of_images_in_one_group_add_nothing():
    for (scores, _), truth, _ in cases(50):
        copied = auroc_interval(np.repeat(scores, 5), np.repeat(truth, 5), np.repeat(np.arange(len(truth)), 5))
        assert copied.variance == pytest.approx(auroc_interval(scores, truth).variance, abs=1e-12)


def test_variance_is_that_of_repeated_samples():
    rng = np.random.default_rng(1)
    truth = np.arange(150) < 50
    found = [auroc_interval(rng.normal(size=150) + 1.5 * truth, truth) for _ in range(1000)]
    spread = np.var([one.value for one in found])
    assert np.mean([one.variance for one in found]) == pytest.approx(spread, rel=0.12)
    assert 0.93 < np.mean([one.low <= 0.85558 <= one.high for one in found]) < 0.97


def test_variance_of_grouped_images_is_that_of_repeated_samples():
    rng = np.random.default_rng(2)
    group, truth = np.repeat(np.arange(40), 5), np.tile([True, False, True, False, False], 40)
    found = [
        auroc_interval(rng.normal(size=200) + rng.normal(size=40)[group] + 1.5 * truth, truth, group)
        for _ in range(600)
    ]
    spread = np.var([one.value for one in found])
    assert np.mean([one.variance for one in found]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("abnormal", [True, False])
def test_one_class_is_undefined(abnormal):
    found = auroc_interval(np.arange(5.0), np.full(5, abnormal))
    assert np.isnan([found.value, found.variance, found.low, found.high]).all()
    paired = auroc_difference(np.arange(5.0), np.arange(5.0), np.full(5, abnormal))
    assert np.isnan([paired.value, paired.variance, paired.low, paired.p]).all()


def test_three_images():
    found = auroc_interval(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))
    assert found.value == 1
    assert np.isnan([found.variance, found.low, found.high]).all()  # one abnormal image says nothing of their spread


def test_one_group_a_class_is_undefined():
    found = auroc_interval(np.arange(6.0), np.arange(6) % 2 == 0, np.zeros(6))
    assert found.value == pytest.approx(1 / 3)
    assert np.isnan(found.low)


def test_separated_classes_get_an_interval_with_a_width():
    found = auroc_interval(np.arange(40.0), np.arange(40) >= 20)
    assert (found.value, found.variance, found.high) == (1, 0, 1)
    assert 0.8 < found.low < 0.95
    assert found.method.startswith("Hanley")
    mirrored = auroc_interval(-np.arange(40.0), np.arange(40) >= 20)
    assert (mirrored.low, mirrored.high) == pytest.approx((0, 1 - found.low))


def test_all_scores_equal():
    found = auroc_interval(np.ones(20), np.arange(20) < 10)
    assert found.value == 0.5
    assert found.low < 0.3
    assert found.high > 0.7


def test_the_score_method_reaches_its_own_definition():
    # At the end, the distance is 1.96 standard errors of Hanley and McNeil.
    low, high = hanley_mcneil(0.8, 25, 40)
    for end in (low, high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        error = np.sqrt((end * (1 - end) + 24 * (q1 - end**2) + 39 * (q2 - end**2)) / 1000)
        assert abs(end - 0.8) == pytest.approx(1.959964 * error, rel=1e-5)


def test_scores_that_rank_alike_have_no_p_value():
    scores, truth = np.random.default_rng(0).normal(size=30), np.arange(30) < 12
    found = auroc_difference(scores, 3 * scores + 1, truth)
    assert (found.value, found.variance) == (0, 0)
    assert np.isnan([found.low, found.high, found.p]).all()


def test_the_difference_is_antisymmetric():
    rng = np.random.default_rng(3)
    truth = np.arange(60) < 25
    a, b = rng.normal(size=60) + truth, rng.normal(size=60)
    there, back = auroc_difference(a, b, truth), auroc_difference(b, a, truth)
    assert (there.value, there.low, there.p) == pytest.approx((-back.value, -back.high, back.p))
    assert there.low < there.value < there.high


def test_wrong_input_is_refused():
    truth = np.array([True, False, True])
    with pytest.raises(ValueError, match="NaN"):
        auroc_interval(np.array([1.0, np.nan, 2.0]), truth)
    with pytest.raises(ValueError, match="one length"):
        auroc_interval(np.arange(4.0), truth)
    with pytest.raises(ValueError, match="one length"):
        auroc_interval(np.arange(3.0), truth, np.arange(4))
