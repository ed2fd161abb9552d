"""Window, equalisation, chroma, views and grey: each against what it promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.imaging import ImageError, Preprocessing, decode
from medanomaly_phantom.drawing import draw

RNG = np.random.default_rng(0)


def grey(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[:, :, None], 3, axis=2)


def test_window_maps_its_ends_to_0_and_1():
    ramp = grey(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    image = Preprocessing((64, 64), "window:1000,400").prepare(ramp)[..., 0].ravel()
    np.testing.assert_allclose(image[[0, 800, 1000, 1100, 1200, 4095]], [0, 0, 0.5, 0.75, 1, 1], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_equalise_makes_the_histogram_flat_and_keeps_the_order(dtype):
    skewed = RNG.random((128, 128)) ** 2
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    array = (skewed * scale).astype(dtype)
    image = Preprocessing((128, 128), "equalise").prepare(grey(array))[..., 0]
    tenths = np.histogram(image, 10, (0, 1))[0] / image.size
    if dtype != np.uint8:  # 8 bits hold too few levels for that
        np.testing.assert_allclose(tenths, 0.1, atol=0.01)
    order = np.argsort(array, axis=None)
    assert (np.diff(image.ravel()[order]) >= -1e-6).all()
    assert image.min() == 0
    assert image.max() == 1


def test_equalise_of_a_constant_image_is_black():
    assert (Preprocessing((4, 4), "equalise").prepare(np.full((8, 8, 3), 77, np.uint8)) == 0).all()


def test_chroma_does_not_see_how_much_light_falls():
    colour = RNG.uniform(0.3, 1.0, (16, 16, 3)).astype(np.float32)
    reading, plain = Preprocessing((16, 16), "chroma"), Preprocessing((16, 16))
    bright, dim = reading.prepare(colour), reading.prepare(colour * 0.5)
    changed = np.abs(plain.prepare(colour) - plain.prepare(colour * 0.5)).mean()
    assert np.abs(bright - dim).mean() < 0.1 * changed
    red = np.full((4, 4, 3), (0.8, 0.2, 0.2), np.float32)
    expected = 0.5 + np.log(0.84 / 0.24) * np.array([1 / 3, 0, 1 / 6])
    np.testing.assert_allclose(Preprocessing((4, 4), "chroma").prepare(red)[0, 0], expected, atol=1e-5)


def test_haemoglobin_is_the_redness_of_chroma_alone():
    picture, _ = draw(3, True, 64)
    redness = Preprocessing((32, 32), "haemoglobin").prepare(picture)
    np.testing.assert_array_equal(
        redness, np.repeat(Preprocessing((32, 32), "chroma").prepare(picture)[:, :, :1], 3, axis=2)
    )
    red = np.full((4, 4, 3), (0.8, 0.2, 0.5), np.float32)
    np.testing.assert_allclose(
        Preprocessing((4, 4), "haemoglobin").prepare(red), 0.5 + np.log(0.84 / 0.24) / 3, atol=1e-5
    )


def test_chroma_is_a_rule_for_each_pixel_and_calm_in_the_dark():
    picture, _ = draw(3, True, 64)
    whole = Preprocessing((64, 64), "chroma").prepare(picture)
    part = Preprocessing((32, 32), "chroma").prepare(picture[16:48, 16:48])
    np.testing.assert_allclose(part, whole[16:48, 16:48], atol=1e-6)
    noise = RNG.integers(0, 4, (32, 32, 3), dtype=np.uint8)
    assert np.abs(Preprocessing((32, 32), "chroma").prepare(noise) - 0.5).max() < 0.1
    assert Preprocessing((8, 8), "chroma").prepare(np.full((8, 8, 3), 90, np.uint8)) == pytest.approx(0.5)


def test_contrast_is_the_log_variance_around_each_pixel_and_does_not_see_exposure():
    grey = RNG.uniform(0.2, 0.6, (16, 16)).astype(np.float32)
    seen = Preprocessing((16, 16), "contrast:5").prepare(grey)
    expected = np.log1p(grey[4:9, 6:11].astype(float).var() / 1e-4) / np.log1p(0.25 / 1e-4)
    assert seen[6, 8] == pytest.approx([expected] * 3, abs=1e-5)
    np.testing.assert_allclose(Preprocessing((16, 16), "contrast:5").prepare(grey + 0.3), seen, atol=1e-4)
    half = Preprocessing((16, 16), "contrast:5").prepare(grey * 0.5)
    np.testing.assert_allclose(seen - half, np.log(4) / np.log(0.25 / 1e-4), atol=0.01)
    assert Preprocessing((8, 8), "contrast").prepare(np.full((8, 8, 3), 90, np.uint8)) == pytest.approx(0, abs=1e-9)
    board = np.indices((16, 16)).sum(0) % 2 * np.uint8(255)
    assert Preprocessing((16, 16), "contrast:255").prepare(board.astype(np.uint8)) == pytest.approx(1, abs=1e-3)
    colour = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    luma, raised = Preprocessing((16, 16), "contrast", colour="grey"), Preprocessing((16, 16), "contrast")
    np.testing.assert_allclose(luma.prepare(colour), raised.prepare(colour), atol=1e-3)


def test_grey_only_refuses_colour_and_takes_grey_jpegs(tmp_path):
    reading = Preprocessing((32, 32), colour="grey-only")
    picture, _ = draw(1, False, 64)
    with pytest.raises(ImageError, match=r"c\.png.*colour.*grey-only"):
        reading.load(write_image(tmp_path / "c.png", picture))
    noise = cv2.GaussianBlur(RNG.integers(0, 255, (64, 64), dtype=np.uint8), (0, 0), 2)
    path = write_image(tmp_path / "g.jpg", grey(noise))
    np.testing.assert_allclose(reading.load(path), Preprocessing((32, 32), colour="grey").load(path))


def disc(size: tuple[int, int], centre: tuple[int, int], radius: int) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_circle_finds_the_view_past_a_dark_lumen_and_letters(depth):
    white = np.iinfo(depth).max
    view = disc((240, 320), (120, 170), 90)
    picture = np.where(view, 0.6, 0.01)
    picture[disc((240, 320), (140, 190), 25)] = 0.0  # the lumen
    letters = cv2.putText(np.zeros(view.shape, np.uint8), "12:07", (2, 20), cv2.FONT_HERSHEY_PLAIN, 1, 255)
    picture[letters > 0] = 0.9
    image = grey((picture * white).astype(depth))
    mask = np.zeros((240, 320), bool)
    mask[100:140, 150:190] = True
    mask[:30] = True  # a careless mark outside the view
    seen, marked = Preprocessing((90, 90), field_of_view="circle").prepare_pair(image, mask)
    inside = disc((90, 90), (45, 45), 44)
    assert (seen[~disc((90, 90), (45, 45), 47)] == 0).all()  # border and letters are gone
    assert seen[disc((90, 90), (20, 30), 9)] == pytest.approx(0.6, abs=0.01)
    assert not marked[~disc((90, 90), (45, 45), 47)].any()
    # 40 of the 181 pixels across, at the place of the mark within the view
    assert marked.sum() == pytest.approx((40 * 90 / 181) ** 2, rel=0.1)
    assert marked[45, 45 - 5]
    assert inside[marked].all()


def test_circle_takes_an_octagon_and_leaves_a_picture_without_border_whole():
    octagon = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(
        octagon, [np.array([[60, 0], [140, 0], [199, 60], [199, 140], [140, 199], [60, 199], [0, 140], [0, 60]])], 150
    )
    seen = Preprocessing((200, 200), field_of_view="circle").prepare(grey(octagon))
    assert ((seen[..., 0] > 0) == (octagon > 0)).mean() > 0.98
    full = RNG.integers(90, 200, (64, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        Preprocessing((64, 80), field_of_view="circle").prepare(full), Preprocessing((64, 80)).prepare(full)
    )


def test_statistics_are_taken_inside_the_view():
    picture = np.where(disc((100, 100), (50, 50), 40), 0.5, 0.0)
    picture[30:70, 30:50] = 0.6
    image = Preprocessing((80, 80), "minmax", "circle").prepare(grey((picture * 255).astype(np.uint8)))
    assert image[40, 70, 0] == pytest.approx(0, abs=0.01)  # the darkest tissue, not the border, is the minimum
    assert image[40, 20, 0] == pytest.approx(1, abs=0.01)


def film() -> tuple[np.ndarray, np.ndarray]:
    """A drawn mammogram, 8 bits, with fog, label and strip; and where the breast is."""
    breast = disc((400, 320), (200, 0), 150)
    picture = np.where(breast, 90.0, 12.0)
    picture[disc((400, 320), (220, 60), 40)] = 200
    picture[20:60, 250:300] = 250
    picture[:, 312:] = 255
    return cv2.GaussianBlur(picture, (0, 0), 2).astype(np.uint8), breast


def test_breast_is_kept_and_labels_are_removed():
    picture, breast = film()
    mask = breast & disc((400, 320), (220, 60), 40)
    seen, marked = Preprocessing((300, 150), field_of_view="breast").prepare_pair(grey(picture), mask)
    assert (seen == 0).mean() == pytest.approx(1 - np.pi / 4, abs=0.03)  # half a disc in its box, nothing else
    assert seen.max() == pytest.approx(200 / 255, abs=0.02)
    assert marked.sum() == pytest.approx(np.pi * 40**2, rel=0.05)


@pytest.mark.parametrize("rule", ["circle", "breast"])
def test_a_picture_without_a_view_is_named_and_masks_need_their_image(rule):
    reading = Preprocessing((8, 8), field_of_view=rule)
    with pytest.raises(ImageError, match=r"black\.png.*field_of_view"):
        reading.prepare(np.zeros((64, 64, 3), np.uint8), "black.png")
    with pytest.raises(ValueError, match="load_pair"):
        reading.prepare_mask(np.zeros((64, 64), bool))


def test_a_phantom_and_its_mask_stay_together():
    picture, mask = draw(5, True, 160)
    for view in ("none", "crop:0.8", "circle"):
        image, marked = Preprocessing((80, 80), "chroma", view).prepare_pair(picture, mask)
        red = image[..., 0]
        assert red[marked].mean() > red[~marked].mean() + 0.05, view


@pytest.mark.parametrize(
    "options",
    [
        {"intensity": "window"}, {"intensity": "window:40"}, {"intensity": "window:40,0"}, {"intensity": "window:a,b"},
        {"intensity": "window:nan,3"}, {"intensity": "equalise:2"}, {"intensity": "chroma", "colour": "grey"},
        {"intensity": "haemoglobin", "colour": "grey"},
        {"intensity": "contrast:4"}, {"intensity": "contrast:1"}, {"intensity": "contrast:a"}, {"intensity": "contrast:"},
        {"intensity": "contrast:257"},
        {"field_of_view": "circle:3"}, {"field_of_view": "crop:nan"}, {"field_of_view": "crop:inf"},
    ],
)  # fmt: skip
def test_wrong_rules_fail_at_once(options):
    with pytest.raises(ValueError):
        Preprocessing((4, 4), **options)


@pytest.mark.real
@pytest.mark.parametrize("name", ["mdb003", "mdb004", "mdb028", "mdb058"])
def test_films_with_and_without_breast(real_data, name):
    path = real_data / "mias" / "full_pgm_sample" / f"{name}.pgm"
    whole = Preprocessing((256, 256)).load(path)
    view = Preprocessing((256, 256), field_of_view="breast")._view
    from medanomaly.imaging.decode import read

    found = view.find(read(path), path)
    assert 0.15 < found.inside.sum() / 1024**2 < 0.5
    pixels = decode(path)[..., 0]
    film_only = np.ones(pixels.shape, bool)
    film_only[found.top : found.top + found.height, found.left : found.left + found.width] &= ~found.inside
    # What is left out is dark film, and labels that are small.
    assert (pixels[film_only] > 128).mean() < 0.03
    assert whole.shape == Preprocessing((256, 256), field_of_view="breast").load(path).shape
