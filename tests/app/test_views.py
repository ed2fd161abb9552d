"""What is shown: windows over deep images, layers that lie on the right pixels, headers without names."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.app.conftest import grey
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

from medanomaly.app import picture
from medanomaly.app.header import header
from medanomaly.app.layers import outline_path
from medanomaly.app.looks import Look, payload
from medanomaly.imaging import ImageError, overlay
from medanomaly.imaging.overlay import heat_layer


def test_an_8_bit_image_is_shown_as_it_is(scored, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    work = scored(write_image(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(picture.display(work.items[0]), pixels)
    assert not picture.values(work.items[0]).adjustable


def test_a_window_over_a_16_bit_image(scored, tmp_path):
    ramp = np.arange(400, dtype=np.uint16).reshape(20, 20) * 10
    item = scored(write_image(tmp_path / "a.png", ramp)).items[0]
    found = picture.values(item)
    assert (found.adjustable, found.low, found.high) == (True, 0, 3990)
    assert picture.display(item).max() <= 16  # as the file says, of 65535
    assert found.suggested == found.preset(picture.PERCENTILES)
    full = picture.display(item, found.preset(picture.FULL))
    assert (full.min(), full.max()) == (0, 255)
    narrow = picture.display(item, (2000, 200))
    assert (narrow[ramp < 1900] == 0).all()
    assert (narrow[ramp > 2100] == 255).all()


def test_a_window_over_a_ct_is_in_its_own_units(scored, tmp_path):
    hu = np.linspace(-1000, 1000, 400).reshape(20, 20)
    write_dicom(tmp_path / "ct.dcm", (hu + 1024).astype(np.uint16), 16, RescaleSlope=1, RescaleIntercept=-1024)
    item = scored(tmp_path / "ct.dcm").items[0]
    found = picture.values(item)
    assert (found.low, found.high) == (-1000, 1000)
    shown = picture.display(item, (40, 400))
    assert (shown[hu < -165] == 0).all()
    assert (shown[hu > 245] == 255).all()


def test_monochrome1_is_turned_over_under_every_window(scored, tmp_path):
    write_dicom(
        tmp_path / "film.dcm",
        np.arange(400, dtype=np.uint16).reshape(20, 20) * 100,
        16,
        PhotometricInterpretation="MONOCHROME1",
    )
    item = scored(tmp_path / "film.dcm").items[0]
    for window in (None, picture.values(item).preset(picture.FULL)):
        shown = picture.display(item, window)
        assert shown[0, 0, 0] > shown[-1, -1, 0]


def test_thumbnails_are_small_and_upright(scored, tmp_path):
    work = scored(grey(tmp_path / "a.jpg", 90, (600, 300)), grey(tmp_path / "b.png", 90, (600, 300)))
    for item in work.items:
        small = cv2.imdecode(np.frombuffer(picture.thumbnail(item), np.uint8), cv2.IMREAD_COLOR)
        assert small.shape == (96, 48, 3)
        assert abs(int(small.mean()) - 90) <= 2


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
    look = Look.at(work.detector, work.items[0])
    assert look.again
    assert look.layers.heat.shape == (64, 96, 4)
    seen = look.layers.heat[:, :, 3] > 128
    rows_, columns = np.nonzero(seen)
    assert 55 <= columns.mean() <= 90
    assert 4 <= rows_.mean() <= 28
    assert look.layers.marked == pytest.approx(look.result.mask_at_original().mean())
    data = payload(work.items[0], look, None)
    assert (data["width"], data["height"]) == (96, 64)
    assert data["path"].startswith("M")
    assert "a.png: normal" in data["alt"]


def test_a_large_image_is_sent_smaller_with_its_layers(scored, tmp_path):
    work = scored(grey(tmp_path / "a.png", 200, (800, 3200)))
    data = payload(work.items[0], Look.at(work.detector, work.items[0]), None)
    assert (data["width"], data["height"]) == (1600, 400)


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
