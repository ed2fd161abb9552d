"""Memory and seconds of the figures of a large test set.

    python tools/check_pixel_memory.py [--images 2000] [--side 1024] [--scores 1000000] [--write]

Each case runs in a process of its own, so that its peak is its own: pixel figures (AUROC, AUPRO, Dice, and FROC) of
maps drawn as they are fed, in batches of 8, and the image figures of many scores with 1,000 bootstrap draws. The bounds
are those that the project promises; the exit status is 1 if one is broken. ``--write`` keeps the table in
``tools/results/pixel_memory.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "results" / "pixel_memory.json"
BATCH = 8
#: Peak memory of the pixel figures in MiB, and seconds of the image figures, that are promised.
MOST_MIB, MOST_SECONDS = 1536, 60


def drawn(rng: np.random.Generator, number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps in (0, 1) as smooth as a network's, and masks (number, side, side); every second image has lesions."""
    import cv2

    maps, masks = np.empty((number, side, side), np.float32), np.zeros((number, side, side), bool)
    for i in range(number):
        small = rng.normal(size=(side // 8, side // 8)).astype(np.float32)
        field = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        for _ in range(i % 2 * int(rng.integers(1, 4))):
            y, x = rng.integers(0, side - side // 8, 2)
            masks[i, y : y + side // 10, x : x + side // 12] = True
        maps[i] = field + 0.8 * masks[i]
    return 0.5 + 0.5 * maps / (1 + np.abs(maps)), masks


def pixels(images: int, side: int, froc: bool) -> dict[str, float]:
    """Seconds of pixel figures: gathering by image, and the figures with their intervals."""
    import torch

    from medanomaly.evidence.pixel_figures import PixelFigures

    torch.set_num_threads(1)
    rng, gathered = np.random.default_rng(0), PixelFigures(froc)
    seconds = 0.0
    for start in range(0, images, BATCH):
        maps, masks = (torch.from_numpy(part) for part in drawn(rng, min(BATCH, images - start), side))
        begun = time.perf_counter()
        gathered.update(maps, masks, maps > 0.75)
        seconds += time.perf_counter() - begun
    begun = time.perf_counter()
    gathered.figures(np.arange(images) // 4, "boxes" if froc else "")
    return {"gather": seconds, "figures": time.perf_counter() - begun}


def ranking(scores: int) -> dict[str, float]:
    """Seconds that the image figures of ``scores`` images take, a tenth of them abnormal, each its own group."""
    import pandas as pd

    from medanomaly.evidence.image_figures import image_metrics

    rng = np.random.default_rng(0)
    abnormal = np.arange(scores) % 10 == 0
    raw = rng.normal(size=scores) + abnormal
    paths = np.arange(scores).astype(str)
    table = pd.DataFrame({"path": paths, "group": paths, "abnormal": abnormal, "raw_score": raw, "decision": raw > 1.6})
    begun = time.perf_counter()
    image_metrics(table)
    return {"gather": 0.0, "figures": time.perf_counter() - begun}


def _worker(queue: Any, case: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> None:
    seconds = case(*arguments)
    queue.put({**seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def measured(case: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """A case's seconds and peak memory, in a fresh process.

    Raises:
        RuntimeError: if the process died.
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_worker, args=(queue, case, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{case.__name__}{arguments} ended with status {process.exitcode}")
    return queue.get()


def main() -> int:
    """Measure, print, and keep the table if asked; 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help=f"keep the table in {OUT.name}")
    args = parser.parse_args()
    size = f"{args.images:,} maps of {args.side}×{args.side}"
    cases: list[tuple[str, tuple[Any, ...], str, float]] = [
        (f"pixel figures, {size}", (pixels, args.images, args.side, False), "peak_mib", MOST_MIB),
        (f"with FROC, {size}", (pixels, args.images, args.side, True), "peak_mib", MOST_MIB),
        (f"image figures, {args.scores:,} scores", (ranking, args.scores), "figures", MOST_SECONDS),
    ]
    table = Table("case", "peak MiB", "gathering s", "figures s", "bound", "kept")
    rows = []
    for name, call, bounded, most in cases:
        found = {key: round(value, 1) for key, value in measured(*call).items()}
        rows.append({"case": name, **found, "bounded": bounded, "most": most, "kept": found[bounded] <= most})
        unit = "MiB" if bounded == "peak_mib" else "s"
        table.add_row(
            name, *(f"{found[key]:,.1f}" for key in ("peak_mib", "gather", "figures")), f"{most:,} {unit}",
            "yes" if rows[-1]["kept"] else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if args.write:
        OUT.parent.mkdir(exist_ok=True)
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        OUT.write_text(json.dumps({"on": machine, "rows": rows}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(row["kept"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
