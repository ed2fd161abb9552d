"""The 2×2 table against scikit-learn, scipy and sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, matthews_corrcoef

from medanomaly.metrics.confusion import (
    Confusion,
    balanced_accuracy,
    flag_all_f1,
    matthews,
    mcnemar,
    negative_likelihood_ratio,
    positive_likelihood_ratio,
    predictive_values,
)


def test_matthews_of_right_and_of_reversed_decisions_is_exactly_one():
    rng = np.random.default_rng(0)
    for abnormal, normal in rng.integers(1, 3_000_000, (3000, 2)):
        assert matthews(Confusion(abnormal, 0, 0, normal)) == 1
        assert matthews(Confusion(0, normal, abnormal, 0)) == -1


def test_balanced_accuracy_and_matthews_equal_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(200):
        truth, decision = (rng.random((2, 50)) < rng.uniform(0.2, 0.8, 2)[:, None]).astype(bool)
        truth[:2], decision[:2] = (True, False), (False, True)
        table = Confusion.of(decision, truth)
        found = balanced_accuracy(table)
        assert found.value == pytest.approx(balanced_accuracy_score(truth, decision))
        assert 0 <= found.low < found.value < found.high <= 1
        assert matthews(table) == pytest.approx(matthews_corrcoef(truth, decision), abs=1e-12)


def test_likelihood_ratios_by_hand():
    table = Confusion(true_positive=90, false_positive=20, false_negative=10, true_negative=180)
    found = positive_likelihood_ratio(table)
    error = math.sqrt(1 / 90 - 1 / 100 + 1 / 20 - 1 / 200)
    assert found.value == pytest.approx(9)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx(
        (math.log(9) - 1.959964 * error, math.log(9) + 1.959964 * error), abs=1e-6
    )
    found = negative_likelihood_ratio(table)
    assert found.value == pytest.approx(0.1 / 0.9)
    assert found.low * found.high == pytest.approx(found.value**2)


def test_undefined_figures_are_nan():
    perfect, blind = Confusion(10, 0, 0, 20), Confusion(0, 0, 10, 20)
    assert np.isnan(positive_likelihood_ratio(perfect).value)  # divides by no false positive
    assert negative_likelihood_ratio(perfect).value == 0
    assert np.isnan(negative_likelihood_ratio(perfect).high)
    assert np.isnan(matthews(blind))
    assert balanced_accuracy(blind).value == 0.5
    for table in (Confusion(3, 0, 2, 0), Confusion(0, 3, 0, 2)):
        assert np.isnan(balanced_accuracy(table).value)
        assert np.isnan(positive_likelihood_ratio(table).value)
        assert np.isnan(matthews(table))
        assert np.isnan([one.value for one in predictive_values(table, 0.1)]).all()


def test_predictive_values_at_the_table_s_own_prevalence_are_its_shares():
    table = Confusion(true_positive=45, false_positive=30, false_negative=5, true_negative=120)
    positive, negative = predictive_values(table, 50 / 200)
    assert positive.value == pytest.approx(45 / 75)
    assert negative.value == pytest.approx(120 / 125)
    assert positive.low < positive.value < positive.high


def test_predictive_values_fall_with_prevalence():
    table = Confusion(90, 10, 10, 90)
    positive, negative = predictive_values(table, 0.01)
    assert positive.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.1 * 0.99))
    assert negative.value == pytest.approx(0.9 * 0.99 / (0.9 * 0.99 + 0.1 * 0.01))


def test_predictive_values_at_the_ends():
    positive, negative = predictive_values(Confusion(10, 0, 0, 30), 0.05)
    assert (positive.value, positive.high, negative.value, negative.high) == (1, 1, 1, 1)
    assert 0 < positive.low < 1
    assert 0.9 < negative.low < 1
    positive, negative = predictive_values(Confusion(0, 0, 10, 30), 0.05)  # flags nothing
    assert np.isnan(positive.value)
    assert negative.value == pytest.approx(0.95)
    with pytest.raises(ValueError, match="prevalence"):
        predictive_values(Confusion(1, 1, 1, 1), 1.0)


def test_f1_of_flagging_everything():
    truth = np.arange(40) < 10
    assert flag_all_f1(0.25) == pytest.approx(f1_score(truth, np.ones(40, dtype=bool)))
    assert np.isnan(flag_all_f1(0))
    with pytest.raises(ValueError, match="prevalence"):
        flag_all_f1(1.5)


def test_mcnemar():
    # Of 10 images on which one alone is right, 2 and 8: twice (1 + 10 + 45) / 1024.
    assert mcnemar(2, 8) == pytest.approx(2 * 56 / 1024)
    assert mcnemar(8, 2) == mcnemar(2, 8)
    assert mcnemar(3, 3) == 1
    assert np.isnan(mcnemar(0, 0))


def test_decisions_equal_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(300):
        truth, decision = (rng.random((2, int(rng.integers(2, 80)))) < rng.uniform(0.05, 0.95, 2)[:, None]).astype(bool)
        table = Confusion.of(decision, truth)
        tn, fp, fn, tp = confusion_matrix(truth, decision, labels=[False, True]).ravel()
        assert (table.true_negative, table.false_positive, table.false_negative, table.true_positive) == (
            tn,
            fp,
            fn,
            tp,
        )
