"""The way back to the original size goes strip by strip: the values are those of one step, bit for bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from medanomaly.edge import Result
from medanomaly.imaging import Placement, placement


def plain(where: Placement, seen: np.ndarray, outside: float) -> np.ndarray:
    """As version 0.1.0 did it: all of the image at once."""

    def resized(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if array.shape == size:
            return array
        shrinks = array.shape[0] >= size[0] and array.shape[1] >= size[1]
        return cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    size = (where.height, where.width)
    part = resized(seen, size)
    if where.inside is not None:
        part = np.where(resized(where.inside.astype(np.float32), size) >= 0.5, part, np.float32(outside))
    full = np.full(where.shape, outside, dtype=np.float32)
    full[where.top : where.top + where.height, where.left : where.left + where.width] = part
    return full


def in_all(number: int) -> tuple[Placement, np.ndarray]:
    """A place of any kind, enlarged or not, and what was seen there."""
    rng = np.random.default_rng(number)
    seen = (rng.random(rng.integers(1, 50, 2), dtype=np.float32) - 0.4) * np.float32(rng.choice([1, 300]))
    height, width = (int(n * rng.choice([1, rng.integers(1, 6), 0.5 + 8 * rng.random()])) or 1 for n in seen.shape)
    top, left, below, beside = map(int, rng.integers(0, 20, 4) * rng.integers(0, 2))
    inside = rng.random(seen.shape) > 0.3 if number % 3 == 0 else None
    return Placement((top + height + below, left + width + beside), top, left, height, width, inside), seen


@pytest.mark.parametrize("first", range(0, 400, 40))
def test_strips_have_the_values_of_one_step(first, monkeypatch):
    monkeypatch.setattr(placement, "_VALUES", 500)
    for number in range(first, first + 40):
        where, seen = in_all(number)
        expected = plain(where, seen, -np.inf)
        np.testing.assert_array_equal(where.to_original(seen, -np.inf), expected)
        pixel = (np.float32(0.1), np.float32(0.25))
        image = np.zeros((*seen.shape, 3), np.float32)
        result = Result(
            input="x",
            raw_score=0.5,
            score=0.5,
            abnormal=False,
            image=image,
            raw_map=seen,
            pixel=pixel,
            place=where,
        )
        np.testing.assert_array_equal(result.mask_at_original(), expected > pixel[0])
        far = (np.where(np.isfinite(expected), expected, pixel[0]) - pixel[0]) / pixel[1]
        heat = np.where(np.isfinite(expected), 0.5 + 0.5 * far / (1 + abs(far)), np.float32(0))
        np.testing.assert_array_equal(result.heat_at_original(), heat)
        np.testing.assert_array_equal(result.map_at_original(), np.rint(heat * 65535).astype(np.uint16))


@pytest.mark.parametrize("shape", [(1500, 1401), (1021, 3073), (5, 300_000), (9000, 130)])
def test_a_large_image_has_strips_and_the_same_values(shape):
    seen = np.random.default_rng(0).random((5, 64), dtype=np.float32)
    where = Placement(shape, 0, 0, *shape)
    assert len(list(where.parts(seen, 0.0))) > 1
    np.testing.assert_array_equal(where.to_original(seen, 0.0), plain(where, seen, 0.0))


def test_a_map_that_is_not_finite_comes_back_as_in_one_step():
    seen = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    seen[3, 4], seen[20, 30] = np.inf, np.nan
    where = Placement((1300, 1300), 0, 0, 1300, 1300)
    np.testing.assert_array_equal(where.to_original(seen, 0.0), plain(where, seen, 0.0))
