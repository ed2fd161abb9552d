"""Overfitting check: do normal training images score lower than normal validation images?"""

from __future__ import annotations

from typing import Any

import numpy as np

from medanomaly.evidence.checks.context import CheckError, Context, figure
from medanomaly.evidence.checks.split_images import subset
from medanomaly.metrics.delong import auroc_interval

#: Largest number of normal images scored of a split: a large backbone on a small CPU takes a minute for each 500.
MOST = 500


def compare(training: np.ndarray, validation: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """How far validation normals score above training normals.

    Args:
        training: Scores (m,) of training normals, any range.
        validation: Scores (n,) of validation normals.
        groups: Group of each image (m + n,), training first.

    Returns:
        Record as in :mod:`medanomaly.evidence.checks`: an AUROC of 0.5 means alike, 1 that every validation image
        scores higher.

    Raises:
        CheckError: if one of them is empty.
        ValueError: if a score is NaN or infinite.
    """
    if not len(training) or not len(validation):
        raise CheckError(f"no normal image is in {'training' if not len(training) else 'validation'}")
    later = np.arange(len(training) + len(validation)) >= len(training)
    estimate = auroc_interval(np.concatenate([training, validation]), later, groups)
    return {"auroc": figure(estimate), "training": len(training), "validation": len(validation)}


def check(context: Context) -> dict[str, Any]:
    """The record ``overfitting``, of at most 500 normal images of each split, without augmentation."""
    context.confirm(subset(context.module, "test"))
    # In contaminated training, abnormal images pass for normal ones: the table knows.
    table = getattr(context.module, "table", None)
    truly = None if table is None else table.drop_duplicates("image_path").set_index("image_path")["abnormal"]
    scores, groups = [], []
    for split in ("train", "val"):
        data = subset(context.module, split)
        abnormal = (
            data.abnormal.numpy() if truly is None else data.samples["image_path"].map(truly).to_numpy(dtype=bool)
        )
        rows = np.flatnonzero(~abnormal)
        rows = rows[context.sample(len(rows), MOST)]
        scores.append(context.score_rows(data, rows, f"overfitting, {split}") if len(rows) else np.zeros(0))
        groups.append(data.samples["group"].astype(str).to_numpy()[rows])
    return compare(scores[0], scores[1], np.concatenate(groups))
