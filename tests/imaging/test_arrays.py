"""Arrays as images: the same picture gives the same result in every type that says what it means; else what to pass."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.imaging import ImageError, Preprocessing

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
GREY = PICTURE[:, :, 0]
BY_VALUE = ["minmax", "percentile:2,98", "window:100,120", "equalise"]
WIDE = ["int16", "int32", "int64", "uint32", "uint64", ">i4", "<i8"]
#: The ways in: each takes an array and gives what a model sees, or a part of it.
WAYS = {
    "prepare": lambda reading, image: reading.prepare(image, "mine"),
    "prepare_placed": lambda reading, image: reading.prepare_placed(image, "mine")[0],
    "prepare_pair": lambda reading, image: reading.prepare_pair(image, None, "mine")[0],
    "native": lambda reading, image: reading.native(image, "mine"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [*WIDE, "int8", "bool"])
@pytest.mark.parametrize("rule", ["dtype", "chroma", "haemoglobin", "contrast"])
def test_integers_without_a_white_are_refused_where_white_counts(way, kind, rule):
    image = (PICTURE // 2).astype(kind)
    with pytest.raises(ImageError, match=r"mine.*(int|bool).*Pass \(H, W, 3\)"):
        WAYS[way](Preprocessing((20, 20), rule), image)


@pytest.mark.parametrize("view", ["none", "crop:0.5", "circle", "breast"])
@pytest.mark.parametrize("kind", WIDE)
@pytest.mark.parametrize("rule", BY_VALUE)
def test_and_are_the_same_picture_where_the_values_alone_count(kind, rule, view):
    disc = np.hypot(*np.ogrid[-20:20, -26:26]) < 18
    image = np.where(disc[:, :, None], PICTURE | 128, 0).astype(np.uint8)
    reading = Preprocessing((20, 20), rule, view, "grey" if view == "crop:0.5" else "rgb")
    plain = reading.prepare(image)
    # Without a white the views are found between darkest and brightest pixel, here 0 and 255 as well.
    np.testing.assert_allclose(reading.prepare(image.astype(kind)), plain, atol=1e-6)


def test_hounsfield_units_need_a_window():
    ct = (PICTURE.astype(np.int16) * 8 - 1024)[:, :, 0]
    seen = Preprocessing((40, 52), "window:-600,1500").prepare(ct)
    np.testing.assert_allclose(seen[:, :, 0], np.clip((ct + 600) / 1500 + 0.5, 0, 1), atol=1e-6)
    with pytest.raises(ImageError, match="window"):
        Preprocessing((40, 52)).prepare(ct)


@pytest.mark.parametrize("rule", ["dtype", *BY_VALUE])
def test_plain_types_are_the_same_picture(rule):
    reading = Preprocessing((20, 20), rule)
    unit = PICTURE / 255
    if rule.startswith("window"):
        reading, unit = Preprocessing((20, 20), "window:0.4,0.47"), PICTURE / 255
    plain = reading.prepare(unit.astype(np.float32))
    for kind in (np.float64, np.longdouble, ">f4", ">f8"):
        np.testing.assert_allclose(reading.prepare(unit.astype(kind)), plain, atol=1e-5)
    if rule in ("dtype", "minmax"):
        for image in (PICTURE, PICTURE.astype(np.uint16) * 257, (PICTURE.astype(np.uint16) * 257).astype(">u2")):
            np.testing.assert_allclose(reading.prepare(image), plain, atol=1e-5)
        np.testing.assert_allclose(reading.prepare(unit.astype(np.float16)), plain, atol=1e-3)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_grey_may_come_as_two_axes_or_three(kind):
    grey = GREY.astype(kind) / (255 if kind == "float32" else 1)
    grey = grey.astype(kind)
    for way in WAYS.values():
        plain = way(Preprocessing((20, 20)), np.dstack([grey] * 3))
        np.testing.assert_allclose(way(Preprocessing((20, 20)), grey), plain, atol=1e-6)
        np.testing.assert_allclose(way(Preprocessing((20, 20)), grey[:, :, None]), plain, atol=1e-6)


def test_views_of_an_array_are_as_good_as_copies():
    reading = Preprocessing((20, 20))
    for view in (
        PICTURE[:, :, ::-1],
        PICTURE[::-1],
        PICTURE[:, ::2],
        PICTURE.swapaxes(0, 1),
        np.asfortranarray(PICTURE),
    ):
        np.testing.assert_array_equal(reading.prepare(view), reading.prepare(view.copy()))


BAD = {
    "RGBA": (np.dstack([PICTURE, GREY]), r"four channels \(40×52×4\).*image\[:, :, :3\]"),
    "channels first": (PICTURE.transpose(2, 0, 1), r"channels first \(3×40×52\).*transpose\(1, 2, 0\)"),
    "grey, channel first": (GREY[None], "channels first"),
    "two channels": (PICTURE[:, :, :2], "shape 40×52×2"),
    "seven channels": (np.zeros((9, 9, 7), np.uint8), "shape 9×9×7"),
    "a batch": (PICTURE[None], "four axes.*one image at a time"),
    "a line": (GREY[0], "shape 52"),
    "a number": (np.array(7, np.uint8), "shape no axis"),
    "nothing": (np.zeros((0, 0, 3), np.uint8), "no pixels"),
    "no rows": (np.zeros((0, 5, 3), np.float32), "no pixels"),
    "no columns": (np.zeros((5, 0), np.uint16), "no pixels"),
    "NaN": (np.where(GREY > 250, np.nan, 0.5), "NaN"),
    "NaN alone": (np.full((48, 48, 3), np.nan, np.float32), "NaN"),
    "infinity": (np.where(GREY > 250, np.inf, 0.5), "infinite"),
    "infinity in half": (np.full((4, 4), -np.inf, np.float16), "infinite"),
    "beyond float32": (np.full((4, 4), 1e300), "infinite"),
    "complex": (PICTURE.astype(complex), "complex128"),
    "objects": (PICTURE.astype(object), "array of object"),
    "words": (np.array([["a"]]), "array of <U1"),
    "times": (np.zeros((3, 3), "datetime64[s]"), "datetime64"),
    "records": (np.zeros((3, 3), [("r", "u1")]), "Pass"),
    "a masked array": (np.ma.masked_equal(GREY, GREY[0, 0]), "masked pixels.*filled"),
    "a list": (PICTURE.tolist(), "is a list, not a numpy array"),
    "bytes": (PICTURE.tobytes(), "is a bytes"),
    "None": (None, "is a NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("rule", ["dtype", "minmax", "window:100,50", "equalise", "chroma"])
def test_all_else_is_refused_with_what_to_pass(what, rule):
    image, words = BAD[what]
    for way in WAYS.values():
        with pytest.raises(ImageError, match=f"mine: .*{words}"):
            way(Preprocessing((20, 20), rule), image)


def test_an_array_that_masks_nothing_is_an_array():
    np.testing.assert_array_equal(
        Preprocessing((20, 20)).prepare(np.ma.array(GREY)), Preprocessing((20, 20)).prepare(GREY)
    )


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64"])
def test_a_mask_is_marked_where_it_is_not_0(kind):
    mask = (GREY > 128).astype(kind) * (1 if kind == "bool" else 255)
    mask = mask.astype(kind)
    seen = Preprocessing((20, 26)).prepare_pair(PICTURE, mask)[1]
    np.testing.assert_array_equal(seen, Preprocessing((20, 26)).prepare_mask(GREY > 128))


@pytest.mark.parametrize(
    "mask", [GREY / 255, np.dstack([GREY > 1] * 3), [[True]], np.zeros((0, 0), bool)], ids=range(4)
)
def test_a_mask_of_another_kind_is_refused(mask):
    with pytest.raises(ImageError, match=r"drawn: .*Pass a mask"):
        Preprocessing((20, 26)).prepare_mask(mask, "drawn")
