"""From predictions to the evidence record: every number of the report, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.evidence.metrics import Confusion, GroupBootstrap, Ranking, f1, wilson
from medanomaly.evidence.pixels import PixelHistograms
from medanomaly.evidence.run_tables import PART, ranked

SCHEMA = 1
DRAWS = 1000


def number(value: float) -> float | None:
    """A float for JSON: undefined (NaN) becomes None."""
    return None if value is None or math.isnan(value) else float(value)


def _proportion(successes: int, trials: int) -> dict[str, Any]:
    low, high = wilson(successes, trials)
    return {
        "value": successes / trials if trials else None,
        "low": number(low),
        "high": number(high),
        "interval": "95 % Wilson",
        "count": [successes, trials],
    }


def _estimate(metric: Callable[..., float], bootstrap: GroupBootstrap, reason: str | None = None) -> dict[str, Any]:
    value = metric()
    defined = not math.isnan(value)
    low, high = bootstrap.interval(metric) if defined else (math.nan, math.nan)
    record = {
        "value": number(value),
        "low": number(low),
        "high": number(high),
        "interval": f"95 % bootstrap by group, {bootstrap.draws} draws",
    }
    if not defined and reason:
        record["reason"] = reason
    return record


def image_metrics(predictions: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Image figures with intervals.

    Args:
        predictions: One row an image with ``raw_score`` (float), ``decision`` and ``abnormal`` (bool), ``group``,
            ``part_…`` (float) for each part of the score, and for a two-sided rule the ``distance`` (float) from its
            centre, which then is what is ranked.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: if a score is NaN or infinite; names the images.
    """
    scores = ranked(predictions)
    abnormal = predictions["abnormal"].to_numpy(dtype=bool)
    decision = predictions["decision"].to_numpy(dtype=bool)
    bad = predictions.loc[~np.isfinite(scores), "path"]
    if len(bad):
        raise ValueError(f"{len(bad)} images have a NaN or infinite score: {', '.join(map(str, bad[:5]))}")
    ranking, table = Ranking(scores, abnormal), Confusion.of(decision, abnormal)
    bootstrap = GroupBootstrap(predictions["group"], DRAWS, seed)
    one_class = f"the test set has only {'abnormal' if abnormal.all() else 'normal'} images"
    return {
        "images": len(predictions),
        "normal": int((~abnormal).sum()),
        "abnormal": int(abnormal.sum()),
        "prevalence": float(abnormal.mean()),
        "groups": bootstrap.number,
        "auroc": _estimate(ranking.auroc, bootstrap, one_class),
        "average_precision": (
            _estimate(ranking.average_precision, bootstrap, one_class)
            if 0 < abnormal.sum() < len(abnormal)
            else {"value": None, "low": None, "high": None, "interval": "", "reason": one_class}
        ),
        "sensitivity": _proportion(*table.sensitivity),
        "specificity": _proportion(*table.specificity),
        "precision": _proportion(*table.precision),
        "f1": _estimate(lambda w=None: f1(decision, abnormal, w), bootstrap, "nothing is abnormal and nothing flagged"),
        "confusion": vars(table).copy(),
        "parts": {
            name.removeprefix(PART): _estimate(
                Ranking(predictions[name].to_numpy(dtype=np.float64), abnormal).auroc, bootstrap, one_class
            )
            for name in predictions.columns
            if name.startswith(PART)
        },
    }


def pixel_metrics(histograms: PixelHistograms, groups: Any, mask_note: str = "", seed: int = 0) -> dict[str, Any]:
    """Pixel figures with intervals, from each image's histograms and group."""
    bootstrap = GroupBootstrap(groups, 200, seed)
    reason = "no marked pixel is in the test set"
    return {
        "images": len(histograms.region_number),
        "with_mask": int((histograms.region_number > 0).sum()),
        "regions": int(histograms.region_number.sum()),
        "auroc": _estimate(histograms.auroc, bootstrap, reason),
        "aupro": _estimate(histograms.aupro, bootstrap, reason),
        "mask_note": mask_note,
    }
