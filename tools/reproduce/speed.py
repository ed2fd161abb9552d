"""How many images a second the exported bundle scores, one at a time."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np

#: Images of one pass, and passes, of which the median counts.
IMAGES, PASSES = 64, 5

_ALONE = threading.Lock()


def images_per_second(run: Path, seed: int = 0) -> float:
    """Export a run and score PNG files of its size one after another, decoding included, with one thread.

    The pixels are noise: what they show does not change how long a network takes.

    Args:
        run: Folder of the run.
        seed: Of the noise.
    """
    # Here, because a page is written from cells without torch.
    from medanomaly.edge import Detector
    from medanomaly.export import export_run

    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name) / "pictures"
        pictures.mkdir()
        for number in range(IMAGES):
            drawn = rng.integers(0, 256, (28, 28), dtype=np.uint8)
            cv2.imwrite(str(pictures / f"{number}.png"), drawn)
        # One at a time: trainings that end together would trace and compare their models in each other's way.
        with _ALONE:
            export_run(run, Path(name) / "bundle", images=pictures, limit=IMAGES)
            detector = Detector(Path(name) / "bundle", threads=1, cache=False)
            paths = sorted(pictures.iterdir())
            seconds = []
            for _ in range(PASSES):
                start = time.perf_counter()
                for path in paths:
                    detector(path)
                seconds.append(time.perf_counter() - start)
    return len(paths) / median(seconds)
