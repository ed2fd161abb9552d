"""FROC on maps drawn by hand, and against components labelled by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.froc import Froc


def blank(n: int = 1, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    return np.full((n, size, size), 0.1), np.zeros((n, size, size), dtype=bool)


def test_a_peak_in_a_region_is_a_hit_and_one_beside_it_is_not():
    maps, masks = blank(2)
    masks[0, 2:5, 2:5] = True
    maps[0, 3, 3] = 0.9  # a peak within
    masks[1, 2:5, 2:5] = True
    maps[1, 2:5, 2:8], maps[1, 3, 7] = 0.6, 0.8  # spreads over the region, but its peak is beside it
    froc = Froc([0.5, 0.85])
    froc.update(maps, masks)
    assert froc.curve().sensitivity.tolist() == [0.5, 0.5]
    assert np.isnan(froc.curve().false_positives).all()  # no normal image
    assert np.isnan(froc.sensitivity_at(1))


def test_false_positives_are_counted_on_normal_images():
    maps, masks = blank(3)
    maps[0, 1, 1] = maps[0, 1, 2] = 0.9
    maps[0, 8, 8] = 0.6
    maps[1, 5, 5] = maps[1, 6, 6] = 0.7  # touch at a corner: one
    masks[2, 0, 0], maps[2, 0, 0], maps[2, 9, 9] = True, 0.55, 0.95  # an abnormal image's do not count
    froc = Froc([0.05, 0.5, 0.65, 0.8, 0.99])
    froc.update(maps, masks)
    curve = froc.curve()
    assert curve.false_positives.tolist() == [1, 1.5, 1, 0.5, 0]
    assert curve.sensitivity.tolist() == [0, 1, 0, 0, 0]
    assert froc.sensitivity_at(1.5) == 1
    assert froc.sensitivity_at(1) == 0


def test_a_component_is_above_the_threshold_not_at_it():
    maps, masks = blank()
    maps[0, 3, 3] = 0.5
    froc = Froc([0.5])
    froc.update(maps, masks)
    assert froc.curve().false_positives.tolist() == [0]


def test_numbered_regions_may_touch():
    maps, masks = blank()
    numbers = masks.astype(int)
    numbers[0, 2:5, 2:4], numbers[0, 2:5, 4:6] = 1, 2
    maps[0, 3, 2] = maps[0, 3, 5] = 0.9
    both, one = Froc([0.5]), Froc([0.5])
    both.update(maps, numbers)
    one.update(maps, numbers > 0)
    assert both._regions == [2]
    assert one._regions == [1]
    assert both.curve().sensitivity.tolist() == one.curve().sensitivity.tolist() == [1]


def test_a_plateau_hits_every_region_that_it_reaches():
    maps, masks = blank()
    masks[0, 2, 2] = masks[0, 2, 6] = True
    maps[0, 2, 1:8] = 0.7
    froc = Froc([0.5])
    froc.update(maps, masks)
    assert froc.curve().sensitivity.tolist() == [1]


def test_random_maps_against_scipy():
    rng = np.random.default_rng(0)
    maps = ndimage.gaussian_filter(rng.random((30, 40, 40)), (0, 2, 2))
    maps = (maps - maps.min()) / np.ptp(maps)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[10:, 5:15, 5:15] = masks[20:, 25:35, 20:30] = True
    thresholds = np.linspace(0.2, 0.9, 8).astype(np.float32)
    froc = Froc(thresholds)
    for start in range(0, 30, 7):  # in batches
        froc.update(maps[start : start + 7], masks[start : start + 7])
    maps, eight = maps.astype(np.float32), np.ones((3, 3))
    for i, threshold in enumerate(thresholds):
        found = false = 0
        for heat, mask in zip(maps, masks, strict=True):
            parts, number = ndimage.label(heat > threshold, eight)
            if not mask.any():
                false += number
                continue
            regions = ndimage.label(mask, eight)[0]
            peaks = ndimage.maximum_position(heat, parts, range(1, number + 1)) if number else []
            found += len({regions[peak] for peak in peaks} - {0})
        assert froc.curve().sensitivity[i] == pytest.approx(found / 30)
        assert froc.curve().false_positives[i] == pytest.approx(false / 10)


def test_weights_serve_the_bootstrap():
    rng = np.random.default_rng(1)
    maps, masks = rng.random((20, 8, 8)) * 0.6, np.zeros((20, 8, 8), dtype=bool)
    masks[10:, 2:4, 2:4] = True
    maps[10:16, 2, 2] = 0.9
    froc = Froc()
    froc.update(maps, masks)
    twice = Froc()
    twice.update(maps.repeat(2, axis=0), masks.repeat(2, axis=0))
    assert froc.curve(np.full(20, 2)).false_positives == pytest.approx(twice.curve().false_positives)
    assert froc.sensitivity_at(0.1) == 0.6
    low, high = GroupBootstrap(np.arange(20), 200).interval(lambda w: froc.sensitivity_at(0.1, w))
    assert low < 0.6 < high


def test_nothing_and_wrong_input():
    assert np.isnan(Froc().curve().sensitivity).all()
    assert len(Froc()) == 0
    maps, masks = blank()
    with pytest.raises(ValueError, match="alike"):
        Froc().update(maps, masks[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        Froc().update(np.full_like(maps, np.nan), masks)
    with pytest.raises(ValueError, match="rise"):
        Froc([0.5, 0.5])


def test_more_than_65535_regions_are_counted():
    maps, masks = np.zeros((2, 514, 514), np.float32), np.zeros((2, 514, 514), bool)
    maps[:, ::2, ::2] = 0.9  # 257 x 257 single pixels
    masks[0, ::2, ::2] = True
    froc = Froc([0.5])
    froc.update(maps, masks)
    curve = froc.curve()
    assert curve.sensitivity.tolist() == [1.0]
    assert curve.false_positives.tolist() == [257.0**2]
