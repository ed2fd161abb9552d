"""The page in a browser, continued: views, videos, folders, evidence, tablets, many frames and real ones."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import grey, wait
from tests.app.serving import Serving
from tests.app.session.test_worklist import movie
from tests.conftest import write_image

from medanomaly.edge import Detector

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Debian's chromium")
expect = playwright.expect
#: A picture's pixels, RGBA, as the browser decoded them.
DRAWN = """async image => {
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


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


def test_what_the_model_saw_is_what_it_read_and_the_reconstruction_stands_beside_it(desk, frames, truth):
    desk.drop(*frames, rows=len(frames))
    desk.page.get_by_text("What the model saw").click()
    pictures = desk.page.get_by_role("img", name=re.compile("as the model (saw it|put it together again)$"))
    expect(pictures).to_have_count(2)
    first = desk.names[0]
    desk.choose(desk.names[-1])
    expect(desk.page.get_by_role("img", name=f"{desk.names[-1]} as the model saw it")).to_be_visible()
    expect(desk.page.get_by_role("img", name=f"{first} as the model saw it")).to_have_count(0)
    seen = [picture.evaluate(DRAWN) for picture in pictures.all()]
    height, width = truth[-1].image.shape[:2]
    for data in seen:
        assert len(data) == 4 * height * width
    shown = np.array(seen[0], np.uint8).reshape(height, width, 4)[:, :, :3]
    np.testing.assert_array_equal(shown, np.rint(truth[-1].image * 255))
    assert np.ptp(np.array(seen[1], np.uint8).reshape(height, width, 4)[:, :, :3]) > 20


def test_a_video_has_a_timeline_for_mouse_and_keys_and_marks_on_frames_and_segments(context, mean_bundle, tmp_path):
    video = movie(tmp_path / "capsule.avi", [20] * 10 + [230] * 3 + [20] * 20 + [160] * 2 + [20] * 5)
    with Serving(mean_bundle, marks=tmp_path / "marks") as serving:
        desk = Desk(context, serving.url)
        desk.drop(video, rows=1)
        expect(desk.page.locator("ol .said")).to_have_text("▶ 5 of 40 frames flagged")
        expect(desk.page.get_by_text("2 suspicious segments, 5 of 40 frames flagged")).to_be_visible()
        timeline = desk.page.locator("svg.timeline")
        assert timeline.locator(".segment").count() == 2
        box = timeline.bounding_box()
        assert box is not None
        timeline.click(position={"x": box["width"] * (44 + 950 * 5 / 19.5) / 1000, "y": box["height"] / 2})
        desk.heading("capsule.avi#frame=11")
        desk.page.keyboard.press("d")
        expect(desk.page.locator("ol .mark")).to_have_text("1 frame: ✗ disagree 1")
        expect(timeline.locator(".marked")).to_have_text(["✗"])
        desk.page.keyboard.press(".")
        desk.heading("capsule.avi#frame=12")
        assert abs(int(desk.picture().mean()) - 230) < 5
        desk.page.keyboard.press("]")
        expect(desk.page.locator(".title")).to_have_text(re.compile("frame=3[45]$"))
        desk.ready()
        assert abs(int(desk.picture().mean()) - 160) < 5
        desk.page.keyboard.press("Shift+A")
        expect(desk.page.locator("ol .mark")).to_have_text("3 frames: ✓ agree 2, ✗ disagree 1")
        expect(timeline.locator(".marked")).to_have_text(["✗", "✓", "✓"])
        desk.page.keyboard.press("z")
        expect(desk.page.locator("ol .mark")).to_have_text("1 frame: ✗ disagree 1")
        timeline.focus()
        desk.page.keyboard.press("Home")
        desk.heading("capsule.avi#frame=1")
        desk.page.keyboard.press("ArrowRight")
        desk.heading("capsule.avi#frame=2")
        desk.page.keyboard.press("p")
        expect(desk.page.locator(".title")).to_have_text(re.compile("frame=[5-9]$"))
        desk.page.keyboard.press("p")
        expect(desk.page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
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
        expect(desk.page.get_by_text("Does one image statistic do as well?")).to_be_attached()
        assert "examples" not in card["checks"].get("groups", {})
        assert "subgroups" not in card["checks"]
        desk.sound()


def test_names_are_text_and_never_markup(desk, frames, tmp_path):
    name = "<img src=x onerror=alert(1)> **b** $x$.png"
    shutil.copy(frames[0], tmp_path / name)
    desk.drop(tmp_path / name, rows=1)
    assert desk.names == [name]
    expect(desk.page.locator(".title")).to_have_text(name)
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

    for path in ("/", "/_stcore/host-config", "/static/js/none.js", "/take", "/read/code/reading.js"):
        connection = http.client.HTTPConnection("127.0.0.1", served.port)
        connection.request("GET", path, headers={"Host": "evil.example"})
        assert connection.getresponse().status == 403, path
        connection = http.client.HTTPConnection("127.0.0.1", served.port)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
        assert "streamlit.app" not in answer.read().decode(errors="replace"), path
    for path, headers in (("/take", {"X-Session": "guess", "X-Name": "a.png"}), ("/take", {})):
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
    from medanomaly.training.command_line import run

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
