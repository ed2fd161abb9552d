"""What fills a region, and where its control lies."""

from __future__ import annotations

import numpy as np

from medanomaly.evidence.checks.inpaint import laplace_fill, marked, place, poisson_paste, view, widened

RNG = np.random.default_rng(0)


def square(side: int, top: int, left: int, size: int) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[top : top + size, left : left + size] = True
    return mask


def test_a_plane_is_restored_exactly_and_the_rest_stays():
    y, x = np.mgrid[0:40, 0:40] / 40
    plane = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.float32)
    mask = square(40, 12, 15, 10)
    spoilt = plane.copy()
    spoilt[mask] = 1.0
    filled = laplace_fill(spoilt, mask)
    np.testing.assert_allclose(filled, plane, atol=1e-4)
    np.testing.assert_array_equal(filled[~mask], plane[~mask])


def test_at_the_edge_of_the_frame_it_stays_within_its_surroundings():
    image = RNG.uniform(0.4, 0.6, (32, 32, 3)).astype(np.float32)
    mask = square(32, 0, 0, 12)
    image[mask] = 0.0
    filled = laplace_fill(image, mask)
    assert filled[mask].min() > 0.4
    assert filled[mask].max() < 0.6


def test_what_lies_outside_the_field_of_view_does_not_bleed_in():
    image = np.full((32, 32, 3), 0.5, dtype=np.float32)
    image[:, :8] = 0.0
    inside = view(image)
    np.testing.assert_array_equal(inside[0], np.arange(32) >= 8)
    mask = square(32, 10, 4, 12)
    filled = laplace_fill(image, mask, inside)
    np.testing.assert_allclose(filled[mask & inside], 0.5, atol=1e-5)
    assert (filled[mask & ~inside] == 0).all()


def test_a_region_without_any_source_becomes_the_mean():
    image = np.full((8, 8, 1), 0.25, dtype=np.float32)
    inside = np.ones((8, 8), dtype=bool)
    inside[:, 4] = False
    filled = laplace_fill(image * np.float32(1), square(8, 0, 5, 8)[:8, :8] | (np.arange(8) > 4)[None, :], inside)
    np.testing.assert_allclose(filled[:, 5:], 0.25, atol=1e-3)
    whole = laplace_fill(image, np.ones((8, 8), dtype=bool))
    np.testing.assert_array_equal(whole, image)


def test_a_dark_lumen_in_the_middle_is_inside_and_a_black_image_too():
    image = np.full((32, 32, 3), 0.5, dtype=np.float32)
    image[12:20, 12:20] = 0.0
    assert view(image).all()
    assert view(np.zeros((8, 8, 3), dtype=np.float32)).all()


def test_a_place_has_the_same_area_avoids_what_is_forbidden_and_repeats_by_seed():
    allowed = np.ones((32, 32), dtype=bool)
    allowed[:, :6] = False
    mask = widened(square(32, 8, 10, 7))
    allowed &= ~mask
    starts = set()
    for seed in range(20):
        pixels = place(mask, allowed, np.random.default_rng(seed))
        assert pixels is not None
        region = marked(pixels, mask.shape)
        assert region.sum() == len(pixels) == mask.sum()
        assert not (region & ~allowed).any()
        np.testing.assert_array_equal(pixels, place(mask, allowed, np.random.default_rng(seed)))
        starts.add(tuple(pixels[0]))
    assert len(starts) > 10


def test_pixels_keep_their_neighbours_when_the_shape_is_turned():
    mask = np.zeros((24, 24), dtype=bool)
    mask[2:5, 3:12] = mask[5:9, 3:5] = True
    pixels = np.argwhere(mask)
    for seed in range(12):
        there = place(mask, np.ones((24, 24), dtype=bool), np.random.default_rng(seed))
        before = np.abs(pixels[:, None] - pixels).sum(axis=2)
        np.testing.assert_array_equal(np.abs(there[:, None] - there).sum(axis=2), before)


def test_a_shape_that_fits_only_turned_is_turned_and_one_that_does_not_fit_is_none():
    mask = np.zeros((20, 20), dtype=bool)
    mask[1:11, 2:7] = True
    strip = np.zeros((20, 20), dtype=bool)
    strip[13:18, 3:13] = True  # five rows, ten columns
    pixels = place(mask, strip, np.random.default_rng(0))
    np.testing.assert_array_equal(marked(pixels, mask.shape), strip)
    large = square(20, 0, 0, 15)
    assert place(large, ~large, np.random.default_rng(0)) is None
    assert place(np.zeros((20, 20), dtype=bool), strip, np.random.default_rng(0)) is None


def test_a_lesion_is_replaced_by_light_of_its_surroundings_and_texture_of_the_donor():
    inside = np.ones((48, 48), dtype=bool)
    light = np.linspace(0.3, 0.6, 48, dtype=np.float32)[None, :, None].repeat(48, axis=0).repeat(3, axis=2)
    image = light + RNG.normal(0, 0.02, (48, 48, 1)).astype(np.float32)
    region, donor = square(48, 5, 5, 12), square(48, 30, 30, 12)
    spoilt = image.copy()
    spoilt[region] = (1, 0, 0)
    filled = poisson_paste(spoilt, np.argwhere(region), np.argwhere(donor), inside)
    np.testing.assert_array_equal(filled[~region], image[~region])
    apart = filled[region] - light[region]
    assert abs(apart.mean()) < 0.02
    assert 0.01 < apart.std() < 0.04  # a smooth fill would have next to none
    assert filled.min() >= 0
    assert filled.max() <= 1
