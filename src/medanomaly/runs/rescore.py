"""Score a tested run's images again, for what its files do not hold: pictures and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from medanomaly.decision.operating_point_log import DecideError
from medanomaly.edge.batch.verify_bundle import relative
from medanomaly.evidence import predictions
from medanomaly.evidence.run_layout import VALIDATION
from medanomaly.report.gallery import Gallery, chosen
from medanomaly.report.pictures import Case
from medanomaly.runs.tested_run import TestedRun

_BATCH = 16
#: Largest relative difference of a raw score to that of the test: the order of sums follows batch and machine.
_SAME = 1e-3
_CASES = 6  # the evidence writer's default


def batches(run: TestedRun, split: str, paths: list[str] | None = None) -> Iterator[Any]:
    """Raw outputs of the model for a split's images, or some of them.

    Args:
        run: The run.
        split: ``train``, ``val`` or ``test``.
        paths: Paths of the images in the order wanted; all by default.

    Raises:
        DecideError: if the images are not there, or the model gives other scores for them than in the test.
    """
    try:
        dataset = run.datamodule().subset(split)
    except (FileNotFoundError, ValueError) as error:
        raise DecideError(f"The images of this run are needed and not to be had: {error}") from error
    kind = "test" if split == "test" else "validation"
    number = {path: i for i, path in enumerate(dataset.paths)}
    if paths is not None and not set(paths) <= set(number):
        raise DecideError("Some images of this run are no longer among those of its data module.")
    wanted = list(range(len(dataset))) if paths is None else [number[path] for path in paths]
    known = _known(run, split)
    for start in range(0, len(wanted), _BATCH):
        batch = run.tested.step(dataset.__getitems__(wanted[start : start + _BATCH]), kind)
        for path, raw in zip(batch.image_path, batch.pred_score.flatten().tolist(), strict=True):
            if relative(known.get(path, raw), raw) > _SAME:
                raise DecideError(
                    f"{path}: has the raw score {raw:.6g} now, and had {known[path]:.6g} in the test. The image, the "
                    "plugin or its environment has changed. Test the run again."
                )
        yield batch


def _known(run: TestedRun, split: str) -> dict[str, float]:
    """Raw scores that the run wrote down, by path."""
    rows = run.predictions
    if split != "test":
        file = run.folder / VALIDATION
        if split != "val" or not file.is_file():
            return {}
        rows = predictions.read(file)
    if "raw_score" not in rows:
        return {}
    return dict(zip(rows["path"], rows["raw_score"].astype(float), strict=True))


def cases_of(run: TestedRun, post: Any, tested: pd.DataFrame, notes: list[str]) -> list[Case]:
    """The report's pictures, drawn anew.

    Args:
        run: The run.
        post: Its post-processor, which scales heat maps.
        tested: Predictions, one row a test image: which images are shown, and what is said of them.
        notes: Gets a sentence where the images are not there; there are no pictures then.
    """
    rows: Any = tested.to_dict("records")
    numbers = chosen(rows, _CASES)
    gallery, seen = Gallery(_CASES), 0
    try:
        for batch in batches(run, "test", [rows[number]["path"] for number in numbers]):
            post.post_process_batch(batch)
            for i in range(len(batch.image_path)):
                gallery.offer(batch, i, rows[numbers[seen]], numbers[seen])
                seen += 1
    except (DecideError, OSError, ValueError) as error:
        notes.append(f"The report has no pictures: {error}")
        return []
    return gallery.shown(dict(zip(tested["path"], tested["label"], strict=True)))
