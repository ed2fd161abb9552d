"""Measure what a reduced precision costs on validation images: scores, decisions, size and time against f32."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.data.dataset import MedicalDataset
from medanomaly.decision.decision_function import DecisionFunction, record
from medanomaly.decision.rules import RuleError, fit
from medanomaly.edge import Detector
from medanomaly.edge.batch.verify_bundle import relative
from medanomaly.edge.bundle import GRAPH, WEIGHTS
from medanomaly.edge.detector import core
from medanomaly.evidence.predictions import PART
from medanomaly.metrics.delong import auroc_difference
from medanomaly.metrics.ranking import auroc, spearman
from medanomaly.models.module import pixels

#: A rule gives a recorded threshold again if both differ by no more than this, relative to threshold or scale.
_SAME = 1e-4
#: Timed calls of each graph at most, and seconds after which no more are begun.
_CALLS, _SECONDS = 200, 10.0


def score_all(detector: Detector, dataset: MedicalDataset) -> pd.DataFrame:
    """Scores of a data set's images, as the bundle keeps them: ``label``, ``abnormal``, ``raw_score``, parts."""
    rows = []
    for index in range(len(dataset)):
        result = detector.score(image_of(dataset, index), dataset.paths[index])
        rows.append({"raw_score": result.raw_score, **{PART + k: part for k, part in result.parts.items()}})
    return pd.concat([dataset.samples[["label", "abnormal"]].reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def image_of(dataset: MedicalDataset, index: int) -> np.ndarray:
    """One image of a data set as a detector takes it: (H, W, 3) float32 in [0, 1]."""
    return pixels(dataset.__getitems__([index]))[0].permute(1, 2, 0).contiguous().numpy()


def refitted(point: Mapping[str, Any], f32: np.ndarray, reduced: np.ndarray, abnormal: np.ndarray) -> dict[str, Any]:
    """The operating point that the same rule chooses on the reduced graph's validation scores.

    Args:
        point: Record of the f32 model's.
        f32: Raw scores (n,) of the f32 graph.
        reduced: Those of the reduced graph.
        abnormal: Truth (n,) of bool.

    Returns:
        The new record, with the pixel threshold of the old one; a copy of the old one if that was not chosen on these
        scores, as after ``medanomaly decide --scores``.
    """
    rule, value = point["rule"], point["value"]
    try:
        again, chosen = (fit(rule, value, scores, abnormal) for scores in (f32, reduced))
    except RuleError:
        return dict(point)
    if abs(again.threshold - point["threshold"]) > _SAME * max(abs(point["threshold"]), point["scale"]):
        return dict(point)
    fitted_on = {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())}
    kept = {name: point[name] for name in ("pixel", "history") if name in point}
    return {**record(rule, value, chosen, reduced[~abnormal], fitted_on), **kept}


def fidelity(point: Mapping[str, Any], f32: np.ndarray, abnormal: np.ndarray) -> Callable[[np.ndarray], float]:
    """How true to the f32 graph another is: raw scores (n,) of it to a figure, 1 for those of f32 and less for others.

    It is one minus the larger of two losses. One is what Spearman's rank correlation with f32 lacks to 1. The other is
    how far the AUROC moves, up or down; without both classes, the share of decisions that change, each graph at its own
    threshold. The AUROC alone would let another model pass that happens to be as good on these images, and not on the
    next. NaN if a score is not finite.

    Args:
        point: Record of the f32 graph's operating point; a two-sided rule ranks by distances.
        f32: Raw scores (n,) of the f32 graph.
        abnormal: Truth (n,) of bool.
    """
    was = DecisionFunction.of(point)
    before = was.ranking_score(f32)
    both = abnormal.any() and not abnormal.all()

    def of(raw: np.ndarray) -> float:
        raw = np.asarray(raw, dtype=np.float32)
        if not np.isfinite(raw).all() or not np.isfinite(f32).all():
            return math.nan
        now = DecisionFunction.of(refitted(point, f32, raw, abnormal))
        after = now.ranking_score(raw)
        if both:
            moved = abs(auroc(before, abnormal) - auroc(after, abnormal))
        else:
            moved = float((was.abnormal(f32) != now.abnormal(raw)).mean())
        return 1 - max(moved, 1 - spearman(before, after))

    return of


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    f32: np.ndarray,
    reduced: np.ndarray,
    samples: pd.DataFrame,
) -> dict[str, Any]:
    """How scores and decisions of the reduced graph differ from those of f32 on the same images.

    Args:
        old: Record of the f32 graph's operating point.
        new: That of the reduced graph.
        f32: Raw scores (n,) of the f32 graph.
        reduced: Those of the reduced graph.
        samples: ``abnormal`` and ``group`` of the images.

    Returns:
        ``images``; ``fidelity``, see :func:`fidelity`; ``auroc``, None without both classes, of ``f32``, ``reduced``
        and ``drop`` with its 95 % interval ``low`` to ``high`` (DeLong by group, paired; None where undefined);
        ``rank_correlation``; ``flips``, each graph at its own threshold, and ``flips_at_f32_threshold``;
        ``score_relative`` (largest ``|a - b| / |a|``); ``threshold`` of both and whether it was ``refitted``.

    Raises:
        ValueError: if a score is not finite.
    """
    abnormal = samples["abnormal"].to_numpy(dtype=bool)
    was, now = DecisionFunction.of(old), DecisionFunction.of(new)
    before, after, decisions = was.ranking_score(f32), now.ranking_score(reduced), was.abnormal(f32)
    ranking = None
    if abnormal.any() and not abnormal.all():
        paired = auroc_difference(before, after, abnormal, samples["group"])
        low, high = (bound if math.isfinite(bound) else None for bound in (paired.low, paired.high))
        ranking = {"f32": paired.first, "reduced": paired.second, "drop": paired.value, "low": low, "high": high}
    return {
        "images": {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())},
        "fidelity": fidelity(old, f32, abnormal)(reduced),
        "auroc": ranking,
        "rank_correlation": spearman(before, after),
        "flips": int((decisions != now.abnormal(reduced)).sum()),
        "flips_at_f32_threshold": int((decisions != was.abnormal(reduced)).sum()),
        "score_relative": max(map(relative, f32.tolist(), reduced.tolist())),
        "threshold": {
            "f32": old["threshold"],
            "reduced": new["threshold"],
            "refitted": new["threshold"] != old["threshold"],
        },
    }


def resources(f32: Path, reduced: Path, image: np.ndarray) -> dict[str, Any]:
    """Size and speed of two bundles.

    Args:
        f32: Folder of the f32 bundle.
        reduced: That of the other.
        image: (H, W, 3) float32 in [0, 1], of their size.

    Returns:
        ``bytes`` of graph and weights, ``latency_ms`` (median of interleaved calls on one thread, reading left out) of
        both, ``speed`` (f32's latency over the other's), ``cpu``.
    """
    sizes = [sum((folder / name).stat().st_size for name in (GRAPH, WEIGHTS)) for folder in (f32, reduced)]
    detectors = [Detector(folder, threads=1, cache=False) for folder in (f32, reduced)]
    taken: list[list[float]] = [[], []]
    end = time.perf_counter() + _SECONDS
    while len(taken[1]) < _CALLS and (time.perf_counter() < end or not taken[1]):
        for detector, seconds in zip(detectors, taken, strict=True):
            start = time.perf_counter()
            detector.score(image)
            seconds.append(time.perf_counter() - start)
    latency = [1000 * float(np.median(seconds)) for seconds in taken]
    cpu = str(core().get_property("CPU", "FULL_DEVICE_NAME")) or platform.processor()
    return {
        "bytes": {"f32": sizes[0], "reduced": sizes[1]},
        "latency_ms": {"f32": round(latency[0], 4), "reduced": round(latency[1], 4)},
        "speed": round(latency[0] / latency[1], 3),
        "cpu": cpu,
    }
