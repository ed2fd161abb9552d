"""What is shown: windows over deep images, layers that lie on the right pixels, headers without names."""

from __future__ import annotations

import json
import time
from functools import partial

import cv2
import numpy as np
import pytest
from tests.app.conftest import grey
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

from medanomaly.app.session.background_work import Work
from medanomaly.app.viewer import window_level
from medanomaly.app.viewer.dicom_header import header
from medanomaly.app.viewer.overlays import outline_path
from medanomaly.app.viewer.picture_encoding import raw_values
from medanomaly.app.viewer.scored_view import ScoredView, ScoredViews
from medanomaly.imaging import ImageError, overlay
from medanomaly.imaging.overlay import heat_layer


@pytest.fixture
def views():
    return ScoredViews()


def decoded(encoded) -> np.ndarray:
    """A layer as the browser has it: (H, W, 3 or 4), RGB."""
    pixels = cv2.imdecode(np.frombuffer(encoded.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def sent_values(encoded) -> np.ndarray:
    """Values as the contract of the pictures' address says."""
    told = json.loads(encoded.headers["X-Picture"])
    stored = np.frombuffer(encoded.content, "<u2").reshape(told["height"], told["width"])
    return told["slope"] * stored + told["intercept"]


def test_an_8_bit_image_is_shown_as_it_is(scored, views, loaded, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    item = scored(write_image(tmp_path / "a.png", pixels)).items[0]
    np.testing.assert_array_equal(window_level.display(window_level.load(item)), pixels)
    assert views.values(item) is None
    np.testing.assert_array_equal(decoded(views.layer(loaded, item, "image", 1600)), pixels)
    with pytest.raises(KeyError):
        views.layer(loaded, item, "values", 1600)


def test_what_the_model_saw_is_the_array_that_it_read(scored, views, loaded, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    item = scored(write_image(tmp_path / "a.png", pixels)).items[0]
    read = loaded.bundle.reading.load(item.address)
    seen = decoded(views.layer(loaded, item, "input", 1600))
    np.testing.assert_array_equal(seen, np.rint(read * 255))
    assert seen.max() > 100


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_a_window_over_a_16_bit_image(scored, views, loaded, tmp_path, suffix):
    ramp = np.arange(400, dtype=np.uint16).reshape(20, 20) * 10
    item = scored(write_image(tmp_path / f"a.{suffix}", ramp)).items[0]
    found = views.values(item)
    assert (found.low, found.high, found.filled) == (0, 3990, False)
    assert found.middle == pytest.approx(np.percentile(ramp, (1, 99)))
    assert window_level.display(window_level.load(item)).max() <= 16  # as the file says, of 65535
    full = window_level.display(window_level.load(item), (1995, 3990))
    assert (full.min(), full.max()) == (0, 255)
    narrow = window_level.display(window_level.load(item), (2000, 200))
    assert (narrow[ramp < 1900] == 0).all()
    assert (narrow[ramp > 2100] == 255).all()
    np.testing.assert_array_equal(sent_values(views.layer(loaded, item, "values", 0)), ramp)


def test_a_window_over_a_ct_is_in_its_own_units(scored, views, loaded, tmp_path):
    hu = np.linspace(-1000, 1000, 400).round().reshape(20, 20)
    write_dicom(tmp_path / "ct.dcm", (hu + 1024).astype(np.uint16), 16, RescaleSlope=1, RescaleIntercept=-1024)
    item = scored(tmp_path / "ct.dcm").items[0]
    found = views.values(item)
    assert (found.low, found.high) == (-1000, 1000)
    np.testing.assert_array_equal(sent_values(views.layer(loaded, item, "values", 0)), hu)
    shown = window_level.display(window_level.load(item, voi=False), (40, 400))
    assert (shown[hu < -165] == 0).all()
    assert (shown[hu > 245] == 255).all()


def test_values_that_16_bits_do_not_hold_are_put_on_steps():
    pixels = np.linspace(-0.5, 1.25, 400, dtype=np.float32).reshape(20, 20)
    sent = raw_values(window_level.DecodedImage.of(pixels), -0.5, 1.25)
    np.testing.assert_allclose(sent_values(sent), pixels, atol=1.75 / 65535)


def test_monochrome1_is_turned_over_under_every_window(scored, views, loaded, tmp_path):
    write_dicom(
        tmp_path / "film.dcm",
        np.arange(400, dtype=np.uint16).reshape(20, 20) * 100,
        16,
        PhotometricInterpretation="MONOCHROME1",
    )
    item = scored(tmp_path / "film.dcm").items[0]
    for window in (None, (19950, 39900)):
        shown = window_level.display(window_level.load(item, voi=window is None), window)
        assert shown[0, 0, 0] > shown[-1, -1, 0]
    assert json.loads(views.layer(loaded, item, "values", 0).headers["X-Picture"])["inverted"]


def test_thumbnails_are_small_and_upright(scored, views, loaded, tmp_path):
    work = scored(grey(tmp_path / "a.jpg", 90, (600, 300)), grey(tmp_path / "b.png", 90, (600, 300)))
    for item in work.items:
        small = decoded(views.layer(loaded, item, "thumbnail", 0))
        assert small.shape == (96, 48, 3)
        assert abs(int(small.mean()) - 90) <= 2


def test_each_image_is_decoded_once_whatever_is_asked_of_it(scored, views, loaded, tmp_path, monkeypatch):
    ramp = (np.arange(400, dtype=np.uint16) * 100).reshape(20, 20)
    colour = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    work = scored(write_image(tmp_path / "deep.png", ramp), write_image(tmp_path / "a.png", colour))
    read = []
    monkeypatch.setattr(window_level, "read", lambda *a, real=window_level.read, **k: read.append(a) or real(*a, **k))
    for item in work.items:
        for layer, size in (("image", 1600), ("image", 0), ("heat", 1600), ("input", 0), ("thumbnail", 96)) * 2:
            views.layer(loaded, item, layer, size)
        views.view(loaded, item)
        views.values(item)
    assert len(read) == len(work.items)


def test_two_threads_that_want_one_image_decode_it_once(scored, views, loaded, tmp_path, monkeypatch):
    item = scored(grey(tmp_path / "a.png", 90, (600, 300))).items[0]
    read = []

    def slow(*given, real=window_level.read, **how):
        read.append(given)
        time.sleep(0.1)
        return real(*given, **how)

    monkeypatch.setattr(window_level, "read", slow)
    work = Work()
    asked = [work.ask((layer,), partial(views.layer, loaded, item, layer, 1600)) for layer in ("image", "heat")]
    asked.append(work.ask(("image",), partial(views.layer, loaded, item, "image", 1600)))
    assert [future.result(20).kind for future in asked] == ["image/jpeg", "image/png", "image/jpeg"]
    assert len(read) == 1
    work.close()


def test_the_outline_runs_along_the_borders_of_pixels():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:6] = True
    path = outline_path(mask)
    points = {tuple(map(float, point.split())) for point in path.strip("MZ").split("L")}
    assert points == {(3.25, 2.25), (3.25, 3.75), (5.75, 3.75), (5.75, 2.25)}
    assert outline_path(np.zeros((6, 8), bool)) == ""


def test_holes_have_an_outline_of_their_own():
    mask = np.ones((9, 9), bool)
    mask[4, 4] = False
    assert outline_path(mask).count("M") == 2


def test_layers_lie_where_the_lesion_is(scored, tmp_path):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[8:24, 60:84] = 255
    work = scored(write_image(tmp_path / "a.png", pixels))
    view = ScoredView.at(work.detector, work.items[0])
    assert view.again
    assert view.layers.heat.shape == (64, 96, 4)
    seen = view.layers.heat[:, :, 3] > 128
    rows_, columns = np.nonzero(seen)
    assert 55 <= columns.mean() <= 90
    assert 4 <= rows_.mean() <= 28
    assert view.layers.marked == pytest.approx(view.result.mask_at_original().mean())
    assert view.layers.shape == (64, 96)
    assert view.layers.path.startswith("M")


def test_a_large_image_is_sent_smaller_with_its_layers(scored, views, loaded, tmp_path):
    item = scored(grey(tmp_path / "a.png", 200, (800, 3200))).items[0]
    assert decoded(views.layer(loaded, item, "image", 1600)).shape == (400, 1600, 3)
    assert decoded(views.layer(loaded, item, "image", 0)).shape == (800, 3200, 3)
    assert views.view(loaded, item).layers.shape == (400, 1600)
    assert max(views.view(loaded, item).layers.heat.shape) <= 512


def test_layers_of_a_large_image_lie_where_those_of_the_small_one_do(scored, tmp_path):
    pixels = np.zeros((2048, 3072, 3), np.uint8)
    pixels[256:768, 1920:2688] = 255
    small = np.ascontiguousarray(pixels[::2, ::2])
    work = scored(write_image(tmp_path / "a.png", pixels), write_image(tmp_path / "b.png", small))
    large, same = (ScoredView.at(work.detector, item).layers for item in work.items)
    assert large.shape == (1067, 1600)
    assert large.marked == pytest.approx(same.marked, abs=0.002)
    enlarged = cv2.resize(same.heat, large.heat.shape[1::-1])
    assert np.abs(enlarged.astype(int) - large.heat)[:, :, 3].mean() < 2


def test_the_heat_layer_has_the_colours_of_the_overlay():
    heat = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    layer = heat_layer(heat).astype(np.float32) / 255
    black = np.zeros((16, 16, 3), np.float32)
    blended = layer[:, :, :3] * layer[:, :, 3:] * 0.75
    np.testing.assert_allclose(overlay(black, heat) / 255, blended, atol=3 / 255)
    assert layer[heat < 0.35][:, 3].max() == 0
    assert layer[heat > 0.86][:, 3].min() == 1


def test_a_header_shows_whom_only_when_asked(tmp_path):
    write_dicom(
        tmp_path / "a.dcm",
        np.zeros((8, 8), np.uint16),
        16,
        PatientName="Doe^Jane",
        PatientID="123",
        Modality="CT",
        StudyDescription="Abdomen of Jane Doe",
    )
    plain, asked = header(tmp_path / "a.dcm"), header(tmp_path / "a.dcm", personal=True)
    assert plain["Modality"] == "CT"
    assert not {"Doe^Jane", "123", "Abdomen of Jane Doe"} & set(plain.values())
    assert asked["Patient's Name"] == "Doe^Jane"


def test_a_damaged_header_is_an_error_without_its_content(tmp_path, monkeypatch):
    def damaged(*_: object, **__: object):
        raise ValueError("Doe^Jane is no date")

    monkeypatch.setattr("pydicom.filereader.read_partial", damaged)
    write_dicom(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), 8)
    with pytest.raises(ImageError) as caught:
        header(tmp_path / "a.dcm", personal=True)
    assert "Doe" not in str(caught.value)
