"""The promise of the conformal rule, by simulation, and its p-values."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.decision.conformal import KEPT, conformal_record, p_value
from medanomaly.decision.rules import RuleError, choose_threshold

NONE = np.array([])


@pytest.mark.parametrize(("number", "alpha"), [(19, 0.05), (37, 0.05), (10, 0.3), (99, 0.01)])
@pytest.mark.parametrize("ties", [False, True])
def test_a_new_normal_image_is_flagged_no_more_often_than_promised(number, alpha, ties):
    rng = np.random.default_rng(0)
    scores = rng.lognormal(size=(20_000, number + 1))
    scores = np.ceil(3 * scores) if ties else scores
    thresholds = np.array([choose_threshold("conformal", alpha, row, NONE) for row in scores[:, 1:]])
    share = (scores[:, 0] > thresholds).mean()
    exact = np.floor((number + 1) * alpha + 1e-9) / (number + 1)  # without ties the rate is this
    error = 3.5 * np.sqrt(alpha / len(scores))
    assert share <= alpha + error
    if not ties:
        assert share == pytest.approx(exact, abs=error)


def test_too_few_normals_are_told_how_many_and_which_alpha():
    with pytest.raises(
        RuleError, match=r"at least 19 normal validation images.*there are 3\. With 3, alpha can be 0\.25"
    ):
        choose_threshold("conformal", None, np.arange(3.0), NONE)
    assert choose_threshold("conformal", 0.25, np.arange(3.0), NONE) == 2
    assert choose_threshold("conformal", 0.05, np.arange(19.0), NONE) == 18
    with pytest.raises(RuleError, match=r"alpha can be 0\.0527 or more"):
        choose_threshold("conformal", 0.05, np.arange(18.0), NONE)
    assert choose_threshold("conformal", 0.0527, np.arange(18.0), NONE) == 17


@pytest.mark.parametrize("number", [20, 333, 5000])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_their_definition_and_agree_with_the_decision(number, alpha, ties):
    rng = np.random.default_rng(number)
    normal, new = rng.normal(size=number), np.sort(rng.normal(0.5, 2, 400))
    if ties:
        normal, new = normal.round(1), new.round(1)
    threshold = choose_threshold("conformal", alpha, normal, NONE)
    known = conformal_record(normal, threshold)
    new = np.concatenate([new, normal, [threshold]])
    found = p_value(new, known)
    exact = np.array([(1 + (normal >= score).sum()) / (number + 1) for score in new])
    assert len(known["scores"]) <= KEPT + 1
    assert (found >= exact).all()
    np.testing.assert_array_equal(found[exact <= 0.09], exact[exact <= 0.09])  # the highest scores are all kept
    if len(np.unique(normal)) <= KEPT:
        np.testing.assert_array_equal(found, exact)
    assert (found - exact).max() <= 2 / KEPT * 5
    np.testing.assert_array_equal(new > threshold, found <= alpha + 1e-12)
