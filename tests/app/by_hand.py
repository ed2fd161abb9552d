"""A long run by hand: many images, a note begun at once, random steps and marks, and what was on the screen at each key.

    python -m tests.app.by_hand --images 600 --steps 50 --repeat 20

Each drawn image has its number in its pixels. The page is instrumented from outside: before any key reaches it, the
number on the canvas is read, and at each frame of the screen picture, heading and list are compared. At the end each
mark in the database must be of an image whose picture was on the screen when its key was pressed. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tests.app.browsing import CHROMIUM, Desk, playwright
from tests.app.conftest import add_scores
from tests.app.serving import Serving
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle

BITS, BLOCK = 12, 8
NOTE = "a jolly dark aubergine, undulating; dull and jaded. "
WITNESS = """
window.keys = []; window.apart = []; window.frames = 0;
const root = () => window.kept ??= [...document.querySelectorAll("*")].find((host) => host.shadowRoot?.querySelector(".reading"))?.shadowRoot;
const painted = () => {
  const canvas = root()?.querySelector(".main canvas.image");
  if (!canvas || canvas.width < 90) return null;
  const { data, width } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, 96, 8);
  let number = 0;
  for (let bit = 0; bit < BITS; bit += 1) number |= (data[4 * (4 * width + bit * BLOCK + 4)] > 127 ? 1 : 0) << bit;
  return number;
};
const number = (text) => (text ? Number(text.match(/\\d+/)[0]) : null);
window.addEventListener("keydown", (event) => {
  const field = event.composedPath()[0].tagName === "INPUT";
  window.keys.push([event.code, painted(), root()?.querySelector(".reading").dataset.state, field]);
}, true);
const frame = () => {
  const reading = root()?.querySelector(".reading");
  if (reading?.dataset.state === "ready") {
    window.frames += 1;
    const row = number(root().querySelector("ol [aria-current=true] .name")?.textContent);
    const both = [painted(), number(root().querySelector(".title").textContent)];
    if (both[0] !== both[1] || (row !== null && row !== both[0])) window.apart.push([...both, row]);
  }
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
""".replace("BITS", str(BITS)).replace("BLOCK", str(BLOCK))


def draw(folder: Path, images: int) -> list[Path]:
    rng, paths = np.random.default_rng(0), []
    for number in range(images):
        pixels = np.full((96, 96, 3), rng.integers(0, 256), np.uint8)
        for bit in range(BITS):
            pixels[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
        paths.append(write_image(folder / f"f{number:05d}.png", pixels))
    return paths


def once(browser, bundle: Path, paths: list[Path], steps: int, seed: int, folder: Path) -> dict[str, object]:
    rng = random.Random(seed)
    with Serving(bundle, marks=folder / f"marks-{seed}") as serving:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(120_000)
        desk = Desk(context, serving.url, follow=seed % 2 == 0, script=WITNESS)
        page = desk.page
        page.locator("input[name=files]").set_input_files([str(path) for path in paths])
        page.locator(".reading[data-state=ready]").wait_for()
        first = page.locator(".title").inner_text()
        page.locator("[name=note]").click()
        for letter in NOTE:
            page.keyboard.press(letter)
        during = page.locator(".progress").is_visible()
        page.keyboard.press("Enter")
        for _ in range(steps // 2):
            page.keyboard.press(rng.choice("jjjkadu"))
            page.wait_for_timeout(rng.choice((0, 20, 100, 500)))
        still = page.locator(".progress").is_visible()
        page.locator(".progress").wait_for(state="hidden", timeout=900_000)
        for _ in range(steps - steps // 2):
            page.keyboard.press(rng.choice("jjjkadu"))
            page.wait_for_timeout(rng.choice((0, 20, 100, 500)))
        page.wait_for_timeout(3000)  # what is still on its way to the database
        keys, apart, frames = (page.evaluate(f"window.{name}") for name in ("keys", "apart", "frames"))
        context.close()
    with sqlite3.connect(serving.marks / "marks.sqlite3") as base:
        kept = base.execute("SELECT name, mark, note FROM marks").fetchall()
    pressed = {
        number
        for code, number, state, field in keys
        if code in ("KeyA", "KeyD", "KeyU") and not field and state == "ready"
    }
    wrong = [name for name, mark, _ in kept if mark and int(re.findall(r"\d+", name)[0]) not in pressed]
    notes = [(name, note) for name, _, note in kept if note]
    return {
        "note_on_its_image": notes == [(first, NOTE)],
        "note_ended_while_scoring": during,
        "steps_while_scoring": still,
        "marks": sum(mark is not None for _, mark, _ in kept),
        "wrong_marks": wrong,
        "frames": frames,
        "frames_apart": len(apart),
        "seconds": round(time.monotonic() - START),
    }


START = time.monotonic()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, playwright.sync_playwright() as play:
        folder = Path(name)
        bundle = add_scores(
            draw_bundle(folder / "bundle"), [i / 200 for i in range(1, 101)], [0.4 + i / 100 for i in range(50)]
        )
        paths = draw(folder / "images", args.images)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = []
        for seed in range(args.repeat):
            found.append(once(browser, bundle, paths, args.steps, seed, folder))
            print(json.dumps(found[-1]), flush=True)
        browser.close()
    wrong = sum(len(one["wrong_marks"]) for one in found) + sum(not one["note_on_its_image"] for one in found)
    print(json.dumps({"runs": len(found), "marks": sum(one["marks"] for one in found), "wrong": wrong,
                      "frames": sum(one["frames"] for one in found), "apart": sum(one["frames_apart"] for one in found)}))  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
