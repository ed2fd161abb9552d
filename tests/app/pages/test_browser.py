"""The page end to end: `medanomaly app` on an exported bundle, used in a browser with drawn frames."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import wait
from tests.app.serving import Serving
from tests.imaging.dicom_files import write_dicom

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Debian's chromium")
expect = playwright.expect


def test_order_decision_and_overlay_are_right(desk, frames, truth):
    desk.drop(*frames, rows=8)
    assert desk.names == [Path(result.input).name for result in truth]
    assert desk.decisions == [result.decision for result in truth]
    assert "bleeding" in desk.names[0]
    for result in (truth[0], truth[-1]):
        desk.choose(Path(result.input).name)
        heat = desk.picture(".heat")
        expected = result.heat_at_original()
        np.testing.assert_allclose(heat[:, :, 3] / 255, np.clip((expected - 0.35) / 0.5, 0, 1), atol=1 / 255)
        drawn = desk.page.locator(".viewer path").get_attribute("d") or ""
        assert bool(drawn) == bool(result.mask_at_original().any())
        assert desk.page.get_by_text(f"{result.score:.3f}").first.is_visible()


def test_moving_the_operating_point_changes_the_counts(desk, frames, truth):
    desk.drop(*frames, rows=8)
    flagged = sum(result.abnormal for result in truth)
    assert f"abnormal {flagged}" in desk.counts()
    slider = desk.page.get_by_role("slider").first
    slider.focus()
    desk.page.keyboard.press("End")
    expect(desk.page.locator(".which")).to_contain_text("abnormal 8")
    expect(desk.page.get_by_text("This is not the validated point.")).to_be_visible()
    expect(desk.page.get_by_text("of 100 healthy flagged")).to_contain_text("100")
    desk.press("Back to the validated point")
    expect(desk.page.locator(".which")).to_contain_text(f"abnormal {flagged}")
    expect(desk.page.get_by_text("This is not the validated point.")).to_have_count(0)


def test_marks_are_exported_and_survive_reload_and_crash(context, frames, tiny_bundle, tmp_path):
    marks = tmp_path / "marks"
    with Serving(tiny_bundle, marks=marks) as first:
        desk = Desk(context, first.url)
        desk.drop(*frames, rows=8)
        name = desk.names[0]
        desk.choose(name)
        desk.press("Agree")
        expect(desk.page.locator("ol .mark").first).to_have_text("✓ agree")
        desk.note.fill("a dark patch, and quick")
        desk.note.press("Enter")
        desk.said("note saved")
        lines = [json.loads(line) for line in desk.download("JSON Lines").splitlines()]
        table = list(csv.DictReader(io.StringIO(desk.download("CSV").decode("utf-8-sig"))))
        marked = next(line for line in lines if line["name"] == name)
        assert len(lines) == len(table) == 8
        assert (marked["mark"], marked["note"]) == ("agree", "a dark patch, and quick")
        assert {row["name"]: row["mark"] for row in table}[name] == "agree"
        assert len(marked["bundle_sha256"]) == 64
        desk.page.reload()
        desk.listed(8)
        expect(desk.page.locator("ol .mark").first).to_have_text("✓ agree")
        desk.sound()
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        # What the killed one left is swept by the next.
        with Serving(tiny_bundle, marks=marks, options=("--temporary", str(first.temporary))) as second:
            assert len([path for path in first.temporary.iterdir() if path.is_dir()]) == 1
            again = Desk(context, second.url)
            again.drop(*frames, rows=8)
            expect(again.page.locator("ol .mark").first).to_have_text("✓ agree")
            again.choose(name)
            expect(again.note).to_have_value("a dark patch, and quick")
            again.sound()


def test_what_is_bad_is_told_and_the_page_still_works(desk, frames, tmp_path):
    (tmp_path / "half.png").write_bytes(frames[0].read_bytes()[:500])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a.png", b"\0" * 30_000_000)
    with zipfile.ZipFile(tmp_path / "tricks.zip", "w") as tricks:
        tricks.writestr("../../evil.png", frames[0].read_bytes())
        tricks.writestr("good.png", frames[1].read_bytes())
    bad = [tmp_path / name for name in ("half.png", "model.pkl", "bomb.zip", "tricks.zip")]
    desk.drop(*bad, frames[2], rows=2)
    told = desk.page.get_by_test_id("stExpander").filter(has_text="not taken in")
    for name, reason in (
        ("half.png", "truncated"),
        ("model.pkl", "pickle"),
        ("bomb.zip", "bomb"),
        ("evil", "leads out"),
    ):
        expect(told).to_contain_text(name)
        expect(told).to_contain_text(reason)
    desk.drop(frames[3], rows=3)
    assert not (tmp_path.parent / "evil.png").exists()


def test_a_window_over_a_16_bit_dicom(desk, tmp_path):
    ramp = np.tile(np.arange(128, dtype=np.uint16) * 20, (128, 1))
    name = {"PatientName": "Doe^Jane", "Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    write_dicom(tmp_path / "ct.dcm", ramp, 16, **name)
    desk.drop(tmp_path / "ct.dcm", rows=1)
    hu = ramp.astype(float) - 1024
    low, high = np.percentile(hu, (1, 99))
    for words, centre, width in (
        ("full range", (hu.min() + hu.max()) / 2, np.ptp(hu)),
        ("1st to 99th", (low + high) / 2, high - low),
    ):
        desk.view(words)
        expected = np.rint(np.clip((hu - centre + width / 2) / width, 0, 1) * 255)
        wait(lambda expected=expected: np.abs(desk.picture()[:, :, 0] - expected).max() <= 1)
    desk.view("as the file says")
    wait(lambda: desk.picture().max() < 20)
    desk.view("own window")
    width = desk.page.get_by_role("slider", name="Window (width)")
    width.focus()
    desk.page.keyboard.press("Home")
    wait(lambda: len(np.unique(desk.picture())) <= 3)
    assert "Doe" not in desk.page.content()
    header = desk.page.locator("details.header")
    header.locator("summary").click()
    expect(header.get_by_text("CT", exact=True)).to_be_visible()
    expect(header).not_to_contain_text("Doe")
    header.get_by_text("Show names, numbers and dates").click()
    expect(header.get_by_text("Doe^Jane")).to_be_visible()
