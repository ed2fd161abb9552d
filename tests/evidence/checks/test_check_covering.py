"""Covering: a model that sees the lesion is told from one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.evidence.checks.context import CheckError
from medanomaly.evidence.checks.covering import compare, cover

RNG = np.random.default_rng(0)


def test_a_model_that_sees_the_lesion_falls_and_flips():
    normal, shown = RNG.normal(size=100), RNG.normal(3, 1, 80)
    record = compare(normal, shown, shown - 3, shown - 0.1, np.arange(180), 2.0)
    flagged = shown > 2
    assert record["images"] == 80
    assert record["flagged"] == flagged.sum()
    assert record["flips_back"] == (flagged & (shown - 3 <= 2)).sum() > record["random_flips_back"]
    assert record["lower"] == 80
    assert record["difference"]["low"] > 0
    assert record["difference"]["value"] == pytest.approx(
        record["auroc_random"]["value"] - record["auroc_covered"]["value"]
    )


def test_a_model_that_sees_something_else_does_not():
    normal, shown = RNG.normal(size=100), RNG.normal(3, 1, 80)
    noise = RNG.normal(0, 0.01, (2, 80))
    record = compare(normal, shown, shown + noise[0], shown + noise[1], np.arange(180), None)
    assert record["difference"]["low"] is None or record["difference"]["low"] <= 0
    assert record["flagged"] is None
    assert record["flips_back"] is None


def test_one_class_is_named():
    with pytest.raises(CheckError, match="no normal"):
        compare(np.zeros(0), np.zeros(3), np.zeros(3), np.zeros(3), np.arange(3))
    with pytest.raises(CheckError, match="no abnormal"):
        compare(np.zeros(3), np.zeros(0), np.zeros(0), np.zeros(0), np.arange(3))


def test_cover_says_why_it_cannot():
    image = np.full((24, 24, 3), 0.5, dtype=np.float32)
    mask = np.zeros((24, 24), dtype=bool)
    assert cover(image, mask, RNG) == "empty"
    mask[:20] = True
    assert cover(image, mask, RNG) == "too_large"
    mask[:] = False
    mask[5:17, 5:17] = True
    assert cover(image, mask, RNG) == "no_control"
    mask[:] = False
    mask[2:8, 2:8] = True
    image[mask] = (1, 0, 0)
    covered, control = cover(image, mask, RNG)
    np.testing.assert_allclose(covered, 0.5, atol=1e-5)
    assert (control[mask] == (1, 0, 0)).all()
