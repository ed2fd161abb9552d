"""Pictures are made floats by bands of rows: the results are those of the whole picture, bit for bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.imaging import Preprocessing, banded_resize, preprocessing
from medanomaly.imaging import percentiles as ranks
from medanomaly.imaging.area_average import shrink
from medanomaly.imaging.arrays import picture_of
from medanomaly.imaging.decode import read
from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.field_of_view import CropBox, FieldOfView
from medanomaly.imaging.intensity import Intensity, equalise, window
from medanomaly.imaging.placement import Placement

RULES = ("dtype", "minmax", "percentile", "percentile:5,60.5", "window:90,140", "equalise", "chroma", "haemoglobin")


@pytest.fixture
def narrow(monkeypatch):
    """Bands of a few rows, so that small pictures have many."""
    monkeypatch.setattr(banded_resize, "_VALUES", 700)
    monkeypatch.setattr(ranks, "_COUNTED", 100)


def plain(preprocessing: Preprocessing, picture: DecodedImage, view: CropBox) -> np.ndarray:
    """How version 0.1.0 prepared a picture: every step on all of it."""
    rule = Intensity.parse(preprocessing.intensity)
    factor = round(picture.shape[0] / picture.pixels.shape[0])
    pixels, edges = (view.cut(picture.pixels), None) if factor == 1 else view.reduced(picture.pixels, factor)
    scaled = plain_scale(rule, DecodedImage(pixels, picture.depth, picture.shape, picture.inverted), view.inside)
    if preprocessing.colour != "rgb" and scaled.ndim == 3:
        scaled = cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
    if view.inside is not None:
        scaled = np.where(view.inside if scaled.ndim == 2 else view.inside[:, :, None], scaled, np.float32(0))
    resized = plain_resize(scaled, preprocessing.size) if edges is None else shrink(scaled, edges, preprocessing.size)
    return rule.after(np.clip(resized, 0.0, 1.0))


def plain_scale(rule: Intensity, picture: DecodedImage, inside: np.ndarray | None) -> np.ndarray:
    pixels = picture.pixels
    if rule.name == "window":
        shown = window(pixels, *rule.numbers, "LINEAR_EXACT")
        return 1.0 - shown if picture.inverted else shown
    if rule.name in ("minmax", "percentile", "equalise"):
        pixels = -pixels.astype(np.float32) if picture.inverted else pixels
        if rule.name == "equalise":
            return plain_equalise(pixels, inside)
        low, high = np.percentile(pixels if inside is None else pixels[inside], rule.numbers)
        span = np.float32(max(float(high) - float(low), 1e-12))
        return np.clip((pixels.astype(np.float32) - np.float32(low)) / span, 0.0, 1.0)
    if picture.depth is None:
        unit = pixels.astype(np.float32)
        return 1.0 - unit if picture.inverted else unit
    black, white = picture.depth
    unit = (pixels.astype(np.float32) - np.float32(black)) / np.float32(white - black)
    unit = np.clip(unit, 0.0, 1.0)
    return np.float32(1) - unit if picture.inverted else unit


def plain_equalise(pixels: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.float32)
    levels = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if levels.dtype == np.float32:
        low, high = float(levels.min()), float(levels.max())
        levels = np.rint((levels - low) * (65535 / max(high - low, 1e-12))).astype(np.uint16)
    counts = np.bincount((levels if inside is None else levels[inside]).ravel(), minlength=int(levels.max()) + 1)
    share = np.cumsum(counts) - counts[np.flatnonzero(counts)[0]]
    return (np.clip(share, 0, None) / max(int(share[-1]), 1)).astype(np.float32)[levels]


def plain_resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=how)


def same(one: np.ndarray, other: np.ndarray) -> None:
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_array_equal(np.ascontiguousarray(one).view(np.uint32), other.view(np.uint32))


def drawn(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.random(shape, dtype=np.float32)
    ends = {"uint8": (0, 256), "uint16": (100, 4000), "int16": (-1024, 3000)}[dtype]
    return rng.integers(*ends, shape).astype(dtype)


def in_depth(pixels: np.ndarray, inverted: bool = False) -> DecodedImage:
    """As DICOM and TIFF give them: 12 bits in 16, and floats between ends of their own."""
    ends = {"uint8": (0.0, 255.0), "uint16": (0.0, 4095.0), "int16": (-32768.0, 32767.0), "float32": (0.1, 0.9)}
    return DecodedImage(pixels, ends[str(pixels.dtype)], (pixels.shape[0], pixels.shape[1]), inverted)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("seed", range(20))
def test_every_size_shrinks_as_the_whole_does(seed):
    rng = np.random.default_rng(seed)
    for turn in range(10):
        size = tuple(map(int, rng.integers(1, 40, 2)))
        factors = rng.integers(1, 9, 2) if turn % 2 else 1 + 8 * rng.random(2)  # whole, and between
        shape = (int(size[0] * factors[0]), int(size[1] * (factors[1] if turn % 3 else round(factors[1]))))
        image = drawn("float32", (*shape, 3) if turn % 4 else shape, turn)
        same(banded_resize.resize(lambda part, image=image: image[part], shape, size, 3), plain_resize(image, size))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("length", [49, 98, 103, 107, 161, 187, 196, 206])
def test_lengths_whose_inverse_is_no_exact_number_shrink_as_the_whole_does(length):
    # 1 / (1 / 49) is not 49: OpenCV then takes a whole factor for one that is not.
    image = drawn("float32", (2 * length, 3 * length, 3))
    for size in ((2, 3), (1, 3), (2, 1), (length, 3), (2, length), (2 * length, 3), (2, 3 * length)):
        same(banded_resize.resize(lambda part: image[part], image.shape[:2], size, 3), plain_resize(image, size))


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", [(16, 16), (37, 11), (96, 80), (99, 83), (12, 130)])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_arrays_are_prepared_as_the_whole_is(dtype, rule, size):
    for layout, view in (
        ((96, 80, 3), "none"),
        ((96, 80), "none"),
        ((101, 120, 3), "crop:0.83"),
        ((99, 83), "crop:70"),
    ):
        for colour in ("rgb", "grey") if rule not in ("chroma", "haemoglobin") else ("rgb",):
            preprocessing, image = Preprocessing(size, rule, view, colour), drawn(dtype, layout)
            picture = picture_of(image, "x")
            expected = plain(preprocessing, picture, FieldOfView.parse(view).box(layout, "x"))
            same(preprocessing.prepare(image), expected)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("rule", [*RULES, "contrast:5"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_depth_polarity_and_what_lies_outside_a_view_are_kept(dtype, rule, inverted):
    inside = cv2.circle(np.zeros((70, 61), np.uint8), (30, 35), 28, 1, -1).astype(bool)
    for layout in ((90, 77), (90, 77, 3)):
        for view in (CropBox(0, 0, 90, 77), CropBox(7, 9, 70, 61), CropBox(7, 9, 70, 61, inside)):
            for size in ((32, 32), (35, 61), (70, 61), (90, 77)):
                preprocessing, picture = Preprocessing(size, rule), in_depth(drawn(dtype, layout), inverted)
                same(preprocessing._prepared(picture, view, "x"), plain(preprocessing, picture, view))


@pytest.mark.parametrize("rule", RULES[1::2])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".ppm"])
def test_files_of_many_bands_are_read_as_the_whole_is(tmp_path, suffix, rule):
    image = cv2.GaussianBlur(drawn("uint8", (900, 1101, 3)), (0, 0), 3)
    path = write_image(tmp_path / f"x{suffix}", image)
    if suffix != ".jpg":
        np.testing.assert_array_equal(read(path).pixels, image)
    for size, view in (((64, 64), "none"), ((300, 367), "none"), ((450, 450), "crop:900"), ((225, 225), "crop:900")):
        preprocessing = Preprocessing(size, rule, view)
        picture = read(path, preprocessing._reduction, preprocessing.voi)
        same(preprocessing.load(path), plain(preprocessing, picture, FieldOfView.parse(view).box(picture.shape, "x")))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("rule", ["dtype", "percentile", "equalise"])
def test_a_grey_tiff_is_read_as_three_channels_without_their_memory(tmp_path, dtype, rule):
    tifffile = pytest.importorskip("tifffile")
    grey = drawn(dtype, (610, 907))
    tifffile.imwrite(tmp_path / "x.tif", grey)
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    picture, preprocessing = read(tmp_path / "x.tif"), Preprocessing((64, 60), rule)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert np.shares_memory(picture.pixels[..., 0], picture.pixels[..., 2])
    expected = plain(preprocessing, DecodedImage(pixels, picture.depth, (610, 907)), CropBox(0, 0, 610, 907))
    same(preprocessing.load(tmp_path / "x.tif"), expected)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("seed", range(10))
def test_percentiles_of_a_histogram_are_numpys(dtype, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, rng.integers(2, np.iinfo(dtype).max), rng.integers(1, 60, 2)).astype(dtype)
    for which in ((0, 100), (1, 99), (50, 50.001), (12.5, 87.5), *rng.uniform(0, 100, (20, 2))):
        np.testing.assert_array_equal(ranks.percentiles(values, which), np.percentile(values, which))


@pytest.mark.usefixtures("narrow")
def test_equalise_and_marks_are_those_of_the_whole():
    for dtype in ("uint8", "uint16", "int16", "float32"):
        for shape in ((60, 71), (60, 71, 3)):
            same(equalise(drawn(dtype, shape)), plain_equalise(drawn(dtype, shape), None))
    marks = drawn("float32", (97, 89)) > 0.5
    view = CropBox(3, 2, 90, 80, marks[3:93, 2:82])
    for size in ((45, 40), (33, 31), (90, 80), (120, 100)):
        expected = plain_resize(marks[3:93, 2:82].astype(np.float32), size) >= 0.5
        np.testing.assert_array_equal(Placement.of(view, (97, 89), size).inside, expected)
        mask = Preprocessing(size, field_of_view="circle").prepare_mask(marks, view=view)
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_how_far_channels_lie_apart_is_the_mean_of_the_whole(dtype):
    pixels = drawn(dtype, (301, 407, 3))
    for part in (pixels, pixels[5:280, 9:300]):
        channels = part.astype(np.float32)
        assert preprocessing._apart(part, 0, 1) == float(np.abs(channels[..., 0] - channels[..., 1]).mean())
        assert preprocessing._apart(part, 1, 2) == float(np.abs(channels[..., 1] - channels[..., 2]).mean())
