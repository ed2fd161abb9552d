"""The triage page beside `medanomaly infer`: images a second on the same files, and how soon the page shows them.

    python tools/bench_app.py results/demo/bundle results/demo/frames --limit 500

Both engines run in this process, in turns: the page's worklist from files that arrive to its last score, and ``infer``
from paths to its last record with the pictures it writes by default. With Chromium installed, the files are also
dropped on the real page: seconds from the drop to the first thumbnails and to the whole list, and the longest time that
the browser's own clock stood still.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from medanomaly.app.session.session_files import Files
from medanomaly.app.session.uploads import Limits
from medanomaly.app.session.worklist import Worklist
from medanomaly.app.session.worklist_rows import ROWS
from medanomaly.edge import Detector, Failure
from medanomaly.edge.batch.infer_inputs import infer
from medanomaly.edge.batch.inputs import find_inputs

#: Counts how long the page's own thread was held up: a tick of 50 ms that comes late was waiting.
_CLOCK = """
window.longest = 0; let last = performance.now();
setInterval(() => {
  const now = performance.now();
  window.longest = Math.max(window.longest, now - last - 50);
  last = now;
}, 50);
"""


def worklist(bundle: Path, paths: list[str]) -> float:
    """Images a second of the page's own work: files copied to the session's folder, taken in, scored."""
    detector = Detector(bundle, hint="throughput")
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder), Limits())
        start = time.perf_counter()
        files.expect(len(paths))
        work = Worklist(detector, files)
        work.score()
        for path in paths:
            files.add(Path(path).name, Path(shutil.copyfile(path, files.place())))
        while work.busy or len(work.items) + len(files.refused) < len(paths):
            time.sleep(0.002)
        seconds = time.perf_counter() - start
        work.close()
        files.close()
    return len(work.items) / seconds


def command(bundle: Path, paths: list[str]) -> float:
    """Images a second of ``medanomaly infer``, with the overlays that it writes by default."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        scored = infer(bundle, paths, Path(folder) / "out").scored
        return scored / (time.perf_counter() - start)


def page(bundle: Path, paths: list[str], chromium: str) -> dict[str, float]:
    """Drop the files on the real page, in a browser without a window."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as marks:
        serve = [sys.executable, "-m", "medanomaly.cli", "app", str(bundle), "--port", str(port), "--marks", marks]
        server = subprocess.Popen(serve, stdout=subprocess.DEVNULL)
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                tab = browser.new_page(viewport={"width": 1280, "height": 800})
                tab.add_init_script(_CLOCK)
                for _ in range(100):
                    with socket.socket() as ready:
                        if ready.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.1)
                tab.goto(f"http://127.0.0.1:{port}")
                tab.wait_for_selector("input[name=files]", state="attached")
                tab.evaluate("window.longest = 0")
                start = time.perf_counter()
                tab.set_input_files("input[name=files]", paths)
                tab.wait_for_function(_THUMBNAIL, timeout=120_000)
                first = time.perf_counter() - start
                if len(paths) > ROWS:  # what fits on one page is not counted there
                    tab.get_by_text(f"of {len(paths)}", exact=False).last.wait_for(timeout=120_000)
                tab.locator(".progress").wait_for(state="hidden", timeout=120_000)
                done = time.perf_counter() - start
                longest = tab.evaluate("window.longest") / 1000
                browser.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    return {"first_thumbnails": round(first, 2), "all_listed": round(done, 2), "longest_stop": round(longest, 2)}


#: Whether the list, which lies in a shadow tree, shows a picture.
_THUMBNAIL = """() => [...document.querySelectorAll("*")].some((host) =>
  [...(host.shadowRoot?.querySelectorAll("ol img") ?? [])].some((image) => image.src && image.complete))"""


def main() -> int:
    """Run the comparison and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--limit", type=int, default=500, help="images at most (default: 500)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds, the two in turns (default: 5)")
    parser.add_argument("--without", default="-mask.", help="leave out files with this in their name (default: -mask.)")
    args = parser.parse_args()
    found = [path for path in find_inputs(args.images) if not isinstance(path, Failure)]
    paths = [path for path in found if args.without not in Path(path).name][: args.limit]
    ours, theirs = [], []
    for _ in range(args.repeat):
        ours.append(worklist(args.bundle, paths))
        theirs.append(command(args.bundle, paths))
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    result: dict[str, Any] = {
        "images": len(paths),
        "cores": len(os.sched_getaffinity(0)),
        "page_images_per_second": round(statistics.median(ours), 1),
        "infer_images_per_second": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_lowest": round(min(ratios), 3),
    }
    chromium = shutil.which("chromium")
    if chromium:
        result["browser_seconds"] = page(args.bundle, paths, chromium)
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
