"""A tested run's images through its model again, for what the run's files do not hold: pictures and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch

from medanomaly.decision.change import DecideError
from medanomaly.evidence.gallery import Gallery, chosen
from medanomaly.evidence.pictures import Case
from medanomaly.export.run import Run

_BATCH = 16
_CASES = 6  # the evidence writer's default


def batches(run: Run, split: str, paths: list[str] | None = None) -> Iterator[Any]:
    """Raw outputs of the model for a split's images, or some of them.

    Args:
        run: The run.
        split: ``train``, ``val`` or ``test``.
        paths: Paths of the images in the order wanted; all by default.

    Raises:
        DecideError: if the images are not there.
    """
    try:
        dataset = run.datamodule().subset(split)
    except (FileNotFoundError, ValueError) as error:
        raise DecideError(f"The images of this run are needed and not to be had: {error}") from error
    number = {path: i for i, path in enumerate(dataset.paths)}
    if paths is not None and not set(paths) <= set(number):
        raise DecideError("Some images of this run are no longer among those of its data module.")
    wanted = list(range(len(dataset))) if paths is None else [number[path] for path in paths]
    for start in range(0, len(wanted), _BATCH):
        with torch.inference_mode():
            yield run.model.validation_step(dataset.__getitems__(wanted[start : start + _BATCH]))


def cases_of(run: Run, post: Any, predictions: pd.DataFrame, notes: list[str]) -> list[Case]:
    """The report's pictures, drawn anew.

    Args:
        run: The run.
        post: Its post-processor, which scales heat maps.
        predictions: One row a test image: which images are shown, and what is said of them.
        notes: Gets a sentence where the images are not there; there are no pictures then.
    """
    rows: Any = predictions.to_dict("records")
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
    return gallery.shown(dict(zip(predictions["path"], predictions["label"], strict=True)))
