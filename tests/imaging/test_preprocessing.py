"""Intensity rules, crop, size, masks."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.imaging import ImageError, Preprocessing

RNG = np.random.default_rng(0)


def grey(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[:, :, None], 3, axis=2)


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_dtype_rule_divides_by_the_types_largest_value(dtype, largest):
    ramp = grey(np.linspace(0, largest, 256).astype(dtype).reshape(16, 16))
    image = Preprocessing((16, 16)).prepare(ramp)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, ramp / largest, atol=1 / largest)


def test_a_12_bit_ramp_in_16_bits_is_not_saturated():
    ramp = grey(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    image = Preprocessing((64, 64), "minmax").prepare(ramp)
    assert len(np.unique(image)) == 4096
    assert image.min() == 0
    assert image.max() == 1


def test_percentile_clips_beyond_its_ends():
    values = grey(np.arange(10_000, dtype=np.uint16).reshape(100, 100))
    image = Preprocessing((100, 100), "percentile:10,90").prepare(values)
    assert (image == 0).mean() == pytest.approx(0.1, abs=0.002)
    assert (image == 1).mean() == pytest.approx(0.1, abs=0.002)


def test_a_constant_image_is_black_not_nan():
    image = Preprocessing((4, 4), "minmax").prepare(np.full((8, 8, 3), 77, np.uint8))
    assert (image == 0).all()


def test_float_beyond_one_needs_another_rule():
    with pytest.raises(ImageError, match=r"a\.tiff.*minmax"):
        Preprocessing((4, 4)).prepare(np.full((4, 4, 3), 3.0, np.float32), "a.tiff")


def test_crop_takes_the_centre():
    image = np.zeros((10, 12, 3), np.uint8)
    image[3:7, 4:8] = 255
    for rule in ("crop:4", "crop:0.4"):
        assert (Preprocessing((4, 4), field_of_view=rule).prepare(image) == 1).all()


def test_crop_larger_than_the_image_names_it():
    with pytest.raises(ImageError, match=r"small\.png.*too small"):
        Preprocessing((4, 4), field_of_view="crop:64").prepare(np.zeros((8, 8, 3), np.uint8), "small.png")


def test_shrinking_averages_areas():
    image = RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    expected = image.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(Preprocessing((16, 16)).prepare(image), expected, atol=1e-6)


def test_mask_goes_through_the_same_crop(tmp_path):
    mask = np.zeros((12, 12), np.uint8)
    mask[4:8, 4:8] = 255
    path = write_image(tmp_path / "m.png", mask)
    reading = Preprocessing((4, 4), field_of_view="crop:8")
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(reading.load_mask(path, (12, 12)), expected)


def test_mask_of_another_size_is_refused(tmp_path):
    path = write_image(tmp_path / "m.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(ImageError, match=r"10×10.*20×10"):
        Preprocessing((4, 4)).load_mask(path, (10, 20, 3))


@pytest.mark.parametrize(
    "options",
    [
        {"size": (0, 4)},
        {"size": (4, 4), "intensity": "magic"},
        {"size": (4, 4), "intensity": "percentile:90,10"},
        {"size": (4, 4), "intensity": "minmax:3"},
        {"size": (4, 4), "field_of_view": "crop:-1"},
        {"size": (4, 4), "field_of_view": "crop"},
        {"size": (4, 4), "colour": "cmyk"},
    ],
)
def test_wrong_options_fail_at_once(options):
    with pytest.raises(ValueError):
        Preprocessing(**options)


def test_record_round_trip():
    reading = Preprocessing((32, 48), "percentile:2,98", "crop:0.5", "grey")
    assert Preprocessing.from_dict(reading.to_dict()) == reading
