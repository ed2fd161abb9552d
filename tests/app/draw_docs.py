"""Take the pictures of docs/app.md: the triage page on drawn frames and a drawn video. No patient is in them.

Run after `make demo`: python -m tests.app.draw_docs [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.serving import Serving

from medanomaly_phantom.drawing import draw

BUNDLE = Path("results/demo/bundle")
SIDE = 96
#: Scenes of the video that bleed, of 28 scenes of two frames each.
BLEEDING = {2, 3, 7, 8, 16, 17, 21, 24, 25}
SCENES, RATE = 28, 2


def frames(folder: Path) -> list[Path]:
    """Nine drawn frames, three of them with blood."""
    found = []
    for number in range(9):
        bleeding = number % 3 == 0
        path = folder / f"frame-{number + 1:02d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(draw(900 + number, bleeding, SIDE)[0], cv2.COLOR_RGB2BGR))
        found.append(path)
    return found


def video(folder: Path) -> Path:
    """A drawn capsule study of 56 frames."""
    path = folder / "capsule-study.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (SIDE, SIDE))
    for number in range(2 * SCENES):
        image, _ = draw(700 + number, number // 2 in BLEEDING, SIDE)
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def main(folder: Path) -> None:
    """Take both pictures."""
    with tempfile.TemporaryDirectory() as name, playwright.sync_playwright() as started:
        drawn = Path(name)
        browser = started.chromium.launch(executable_path=CHROMIUM)
        with Serving(BUNDLE, marks=drawn / "marks") as serving:
            for file, scheme in (("app.png", "light"), ("app-video.png", "dark")):
                size = {"width": 1280, "height": 800}
                context = browser.new_context(viewport=size, color_scheme=scheme)
                desk = Desk(context, serving.url, reader="KR")
                desk.drop(*frames(drawn), rows=9)
                if scheme == "dark":
                    desk.drop(video(drawn), rows=10)
                    desk.choose_row("capsule-study.avi")
                    desk.ready()
                    desk.page.keyboard.press("u")
                else:
                    desk.choose("frame-04.png")
                    desk.press("Agree")
                desk.said("saved")
                desk.idle()
                desk.page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
                desk.page.wait_for_timeout(1500)
                desk.page.screenshot(path=str(folder / file))
                desk.sound()
                context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
