"""Figures by drawing groups say why they have no interval."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.evidence.bootstrap_figures import FEW_DRAWS, NO_SPREAD, ONE_GROUP, estimate
from medanomaly.metrics.bootstrap import GroupBootstrap

VALUES = np.arange(1.0, 7.0) / 10


def mean(weights=None):
    return float(np.average(VALUES, weights=weights))


def mostly_undefined(weights=None):
    return 0.5 if weights is None else mean(weights) if weights[0] >= 2 else np.nan


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(
    ("metric", "groups", "reason"),
    [
        (lambda weights=None: 1.0, np.arange(6), NO_SPREAD),
        (mean, np.zeros(6), ONE_GROUP),
        (mostly_undefined, np.arange(6), FEW_DRAWS),
    ],
)
def test_a_value_without_an_interval_has_a_reason(metric, groups, reason, share):
    found = estimate(metric, GroupBootstrap(groups, draws=50), "undefined", share)
    assert found["value"] == metric()
    assert (found["low"], found["high"], found["interval"], found["reason"]) == (None, None, "", reason)


def test_an_undefined_value_has_the_reason_asked_for_and_a_known_one_none():
    drawn = GroupBootstrap(np.arange(6), draws=50)
    assert estimate(lambda weights=None: np.nan, drawn, "why")["reason"] == "why"
    known = estimate(mean, drawn, "why")
    assert "reason" not in known
    assert known["low"] < known["value"] < known["high"]
