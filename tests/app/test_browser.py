"""The page end to end: `medanomaly app` on an exported bundle, used in a browser with drawn frames."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import grey, wait
from tests.app.serving import Serving
from tests.app.test_worklist import movie
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

from medanomaly.edge import Detector

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Debian's chromium")
expect = playwright.expect


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def served(tiny_bundle, tmp_path_factory):
    with Serving(tiny_bundle, marks=tmp_path_factory.mktemp("marks"), options=("--keep", "1")) as serving:
        yield serving
    assert serving.status == 0, serving.log
    assert "Traceback" not in serving.log
    assert list(serving.temporary.iterdir()) == []


@pytest.fixture
def context(browser):
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def desk(context, served):
    opened = Desk(context, served.url)
    yield opened
    opened.sound()


@pytest.fixture(scope="module")
def frames(tiny_run) -> list[Path]:
    """Eight drawn frames of the test split, half of them bleeding."""
    table = pd.read_csv(tiny_run / "predictions.csv")
    return [Path(path) for _, part in table.groupby("label") for path in part["path"][:4]]


@pytest.fixture(scope="module")
def truth(tiny_bundle, frames):
    """What the detector says of each frame, most suspicious first."""
    detector = Detector(tiny_bundle)
    return sorted((detector(path) for path in frames), key=lambda result: -result.raw_score)


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
    expect(desk.page.locator(".st-key-which")).to_contain_text("abnormal 8")
    expect(desk.page.get_by_text("This is not the validated point.")).to_be_visible()
    expect(desk.page.get_by_text("of 100 healthy flagged")).to_contain_text("100")
    desk.press("Back to the validated point")
    expect(desk.page.locator(".st-key-which")).to_contain_text(f"abnormal {flagged}")
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
        desk.page.get_by_label("Note").fill("a dark patch, and quick")
        desk.page.keyboard.press("Enter")
        expect(desk.page.locator("ol .mark").first).to_have_text("✓ agree")
        desk.page.wait_for_timeout(500)
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
            expect(again.page.get_by_label("Note")).to_have_value("a dark patch, and quick")
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
    desk.view("full range")
    wait(lambda: desk.picture().max() == 255 and desk.picture().min() == 0)
    assert abs(int(desk.picture()[0, 64, 0]) - 128) < 4
    desk.view("as the file says")
    wait(lambda: desk.picture().max() < 20)
    desk.view("own window")
    width = desk.page.get_by_role("slider", name="Window (width)")
    width.focus()
    desk.page.keyboard.press("Home")
    wait(lambda: len(np.unique(desk.picture())) <= 3)
    assert "Doe" not in desk.page.content()
    desk.page.get_by_text("DICOM header").click()
    expect(desk.page.get_by_text("CT", exact=True)).to_be_visible()
    assert "Doe" not in desk.page.content()
    desk.page.get_by_text("Show names, numbers and dates").click()
    expect(desk.page.get_by_text("Doe^Jane")).to_be_visible()


def test_keys_step_and_mark_but_not_while_writing(desk, frames):
    desk.drop(*frames[:3], rows=3)
    names = desk.names
    desk.choose(names[0])
    desk.page.keyboard.press("j")
    desk.heading(names[1])
    desk.page.keyboard.press("k")
    desk.heading(names[0])
    desk.page.keyboard.press("d")
    expect(desk.page.locator("ol .mark").first).to_have_text("✗ disagree")
    desk.page.get_by_label("Note").press_sequentially("jaunty aubergine")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_timeout(500)
    desk.heading(names[0])
    expect(desk.page.locator("ol .mark").first).to_have_text("✗ disagree")
    desk.page.get_by_label("Note").fill("")
    desk.page.keyboard.press("Enter")
    desk.press("Disagree")
    expect(desk.page.locator("ol .mark").first).to_have_text("")


def test_views_and_zoom_are_the_browsers_own(desk, frames):
    desk.drop(*frames[:2], rows=2)
    page = desk.page
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".viewer .pane.plain")).to_be_visible()
    page.get_by_role("button", name="Swipe").click()
    expect(page.locator(".viewer .cut")).to_be_visible()
    page.get_by_role("button", name="Image", exact=True).click()
    assert page.locator(".viewer .heat").evaluate("heat => heat.style.opacity") == "0"
    page.get_by_role("button", name="Overlay").click()
    assert page.locator(".viewer .heat").evaluate("heat => heat.style.opacity") == "0.6"
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator(".viewer").get_attribute("data-zoom") == "1.50"
    page.locator(".viewer .panes").dblclick()
    assert page.locator(".viewer").get_attribute("data-zoom") == "1.00"


def test_a_video_has_a_timeline_to_jump_on(context, mean_bundle, tmp_path):
    video = movie(tmp_path / "capsule.avi", [20] * 10 + [230] * 3 + [20] * 20 + [160] * 2 + [20] * 5)
    with Serving(mean_bundle, marks=tmp_path / "marks") as serving:
        desk = Desk(context, serving.url)
        desk.drop(video, rows=1)
        expect(desk.page.locator("ol .said")).to_have_text("▶ 5 of 40 frames flagged")
        expect(desk.page.get_by_text("2 suspicious segments, 5 of 40 frames flagged")).to_be_visible()
        timeline = desk.page.locator("svg[role=img]").first
        assert timeline.locator(".segment").count() == 2
        box = timeline.bounding_box()
        assert box is not None
        timeline.click(position={"x": box["width"] * (44 + 950 * 5 / 19.5) / 1000, "y": box["height"] / 2})
        desk.heading("capsule.avi#frame=11")
        desk.page.get_by_text("0:16.5–0:17.0 · 2 frames").click()
        wait(lambda: abs(int(desk.picture().mean()) - 160) < 5)
        desk.sound()


def test_folders_and_zips_are_taken_in_whole(desk, frames, tmp_path):
    for number, path in enumerate(frames[:3]):
        (tmp_path / "study" / str(number)).mkdir(parents=True)
        shutil.copy(path, tmp_path / "study" / str(number) / "frame.png")
    desk.page.locator("input[name=folder]").set_input_files(str(tmp_path / "study"))
    desk.listed(3)
    assert sorted(desk.names) == [f"study/{number}/frame.png" for number in range(3)]
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(frames[3], "a.png")
        archive.write(frames[4], "b/c.png")
    desk.drop(tmp_path / "more.zip", rows=5)
    assert {"more.zip/a.png", "more.zip/b/c.png"} < set(desk.names)


def test_evidence_is_one_click_away_and_bundles_are_compared(context, tiny_bundle, mean_bundle, frames, tmp_path):
    with Serving(tiny_bundle, mean_bundle, marks=tmp_path / "marks") as serving:
        desk = Desk(context, serving.url)
        desk.drop(*frames[:2], rows=2)
        card = json.loads((tiny_bundle / "card.json").read_text())
        desk.page.get_by_text("Compare the bundles on this image").click()
        expect(desk.page.get_by_text("at its own validated point")).to_have_count(2)
        desk.view("Evidence")
        for caveat in card["caveats"]:
            expect(desk.page.get_by_text(caveat["title"]).first).to_be_attached()
        expect(desk.page.get_by_text(f"{card['results']['image']['auroc']['value']:.3f}").first).to_be_visible()
        expect(desk.page.get_by_text("What other points would cost")).to_be_visible()
        expect(desk.page.get_by_text("Does one simple number do as well?")).to_be_attached()
        assert "examples" not in card["checks"].get("groups", {})
        assert "subgroups" not in card["checks"]
        desk.sound()


def test_names_are_text_and_never_markup(desk, frames, tmp_path):
    name = "<img src=x onerror=alert(1)> **b** $x$.png"
    shutil.copy(frames[0], tmp_path / name)
    desk.drop(tmp_path / name, rows=1)
    assert desk.names == [name]
    expect(desk.page.get_by_text(name).last).to_be_visible()
    assert desk.page.locator("img[src=x]").count() == 0


def test_images_are_gone_when_the_page_is(context, served, frames):
    desk = Desk(context, served.url)
    desk.drop(*frames[:2], rows=2)
    found = list(served.temporary.rglob("*.png"))
    assert found
    assert {path.parent.parent.parent for path in found} == {served.temporary}
    desk.page.close()
    wait(lambda: not any(path.exists() for path in found))


def test_a_stranger_is_not_served(served):
    """No file without the session's secret, no page under another site's name."""
    import http.client

    for path, headers in (("/take", {"X-Desk": "guess", "X-Name": "a.png"}), ("/take", {})):
        connection = http.client.HTTPConnection("127.0.0.1", served.port)
        connection.request("PUT", path, b"x", headers)
        assert connection.getresponse().status == 403
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    upgrade = {
        "Host": "evil.example", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://evil.example",
    }  # fmt: skip
    connection.request("GET", "/_stcore/stream", headers=upgrade)
    assert connection.getresponse().status == 403


def test_it_fits_a_tablet_in_the_dark(browser, served, frames):
    context = browser.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark", has_touch=True)
    desk = Desk(context, served.url)
    desk.drop(*frames[:2], rows=2)
    assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = desk.page.locator(".stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    assert max(map(int, background.strip("rgba()").split(",")[:3])) < 60
    desk.sound()
    context.close()


@pytest.mark.slow
def test_500_frames_are_listed_without_freezing(desk, tmp_path):
    rng = np.random.default_rng(0)
    paths = [
        write_image(tmp_path / f"{i:03d}.png", rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for i in range(500)
    ]
    desk.page.locator("input[name=files]").set_input_files([str(path) for path in paths])
    desk.page.locator("ol img").first.wait_for(timeout=10_000)
    desk.listed(50)
    expect(desk.page.get_by_text("1–50 of 500")).to_be_visible()
    desk.page.get_by_role("button", name="Later").click()
    expect(desk.page.get_by_text("51–100 of 500")).to_be_visible()


def test_grey_frames_are_fine_too(desk, tmp_path):
    desk.drop(grey(tmp_path / "a.jpg", 60, (200, 300)), rows=1)
    assert desk.picture().shape == (200, 300, 3)


@pytest.mark.real
@pytest.mark.slow
def test_real_frames_are_listed_as_the_detector_scores_them(context, real_data, tmp_path):
    """A bundle trained on capsule frames, and frames of its own test split; their pictures stay in the session's folder."""
    from medanomaly.export import export_run
    from medanomaly.training import run

    work = tmp_path / "run"
    arguments = [
        "train", "--model", "Autoencoder", "--model.init_args.stages", "3", "--model.init_args.width", "8",
        "--data", "WirelessCapsule", "--data.init_args.image_size", "32", "--trainer.max_epochs", "1", "--trainer.logger", "false",
        "--trainer.enable_progress_bar", "false", "--default_root_dir", str(work),
    ]  # fmt: skip
    assert run(arguments) == 0
    latest = (work / "Autoencoder" / "WirelessCapsule" / "latest").resolve()
    export_run(latest, tmp_path / "bundle")
    table = pd.read_csv(latest / "predictions.csv")
    paths = [Path(path) for _, part in table.groupby("label") for path in part["path"][:8]]
    detector = Detector(tmp_path / "bundle")
    truth = sorted((detector(path) for path in paths), key=lambda result: -result.raw_score)
    with Serving(tmp_path / "bundle", marks=tmp_path / "marks") as serving:
        desk = Desk(context, serving.url)
        desk.drop(*paths, rows=len(paths))
        assert desk.names == [Path(result.input).name for result in truth]
        assert desk.decisions == [result.decision for result in truth]
        desk.choose(desk.names[-1])
        desk.choose(desk.names[0])
        heat = desk.picture(".heat")
        assert heat.shape[:2] == desk.picture().shape[:2]
        desk.press("Disagree")
        expect(desk.page.locator("ol .mark").first).to_have_text("✗ disagree")
        desk.sound()
    assert list(serving.temporary.iterdir()) == []
