"""Occlusion: a model that sees the lesion is told from one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.evidence.checks.context import CheckError
from medanomaly.evidence.checks.occlusion import Likewise, compare, cover

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


def test_a_trace_of_the_fill_cancels_where_both_classes_are_filled():
    """Every filled image scores 5 more, and a lesion 3: against images as they are, covering would change nothing."""
    normal, shown = RNG.normal(size=200), RNG.normal(3, 1, 80)
    rows = np.arange(0, 200, 2)
    filled = Likewise(rows, normal[rows] + 5, normal[rows] + 5)
    record = compare(normal, shown, shown - 3 + 5, shown + 5, np.arange(280), 2.0, filled)
    assert record["auroc_covered"]["value"] > 0.99
    assert record["difference"]["value"] < 0.01
    part = record["filled"]
    assert part["images"] == 100
    assert part["auroc"]["low"] > 0.95
    assert part["auroc_covered"]["low"] < 0.5 < part["auroc_covered"]["high"]
    assert part["auroc_random"]["value"] > 0.95
    assert part["difference"]["low"] > 0.3
    assert part["difference"]["value"] == pytest.approx(part["auroc_random"]["value"] - part["auroc_covered"]["value"])
    assert part["passed"] == (normal[rows] <= 2).sum()
    assert part["flagged"] == ((normal[rows] <= 2) & (normal[rows] + 5 > 2)).sum()


def test_a_fall_that_the_fill_alone_makes_is_told_from_one_of_the_lesion():
    """A fill at lesions' places takes 3 away from any image, elsewhere nothing: the lesion itself has no part in it."""
    normal, shown = RNG.normal(size=200), RNG.normal(3, 1, 80)
    filled = Likewise(np.arange(200), normal - 3, normal)
    record = compare(normal, shown, shown - 3, shown, np.arange(280), None, filled)
    assert record["difference"]["low"] > 0.2
    assert record["filled"]["difference"]["value"] == 0
    assert record["filled"]["auroc"]["high"] < 0.5
    assert record["filled"]["passed"] is None


def test_without_filled_normals_the_reason_is_in_the_record():
    for none in (None, Likewise(np.zeros(0, int), np.zeros(0), np.zeros(0))):
        record = compare(np.zeros(5), np.ones(3), np.ones(3), np.ones(3), np.arange(8), None, none)
        assert "no normal image could be filled" in record["filled"]["reason"]


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
