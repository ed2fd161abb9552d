"""What a reduced precision costs: scores, decisions, size and time against f32, on validation images."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from medanomaly.data.dataset import MedicalDataset
from medanomaly.decision.decider import Decider, record
from medanomaly.decision.rules import RuleError, fit
from medanomaly.edge import Detector
from medanomaly.edge.bundle import GRAPH, WEIGHTS
from medanomaly.edge.detector import core
from medanomaly.edge.verify import relative
from medanomaly.evidence import run_tables as tables
from medanomaly.evidence.delong import auroc_difference
from medanomaly.models.module import pixels
from medanomaly.models.scoring import auroc

#: A rule gives a recorded threshold again if both differ by no more than this, relative to threshold or scale.
_SAME = 1e-4
#: Timed calls of each graph at most, and seconds after which no more are begun.
_CALLS, _SECONDS = 200, 10.0


def score_all(detector: Detector, dataset: MedicalDataset) -> pd.DataFrame:
    """Scores of a data set's images, as the bundle keeps them: ``label``, ``abnormal``, ``raw_score``, parts."""
    rows = []
    for index in range(len(dataset)):
        result = detector.score(image_of(dataset, index), dataset.paths[index])
        rows.append({"raw_score": result.raw_score, **{tables.PART + k: part for k, part in result.parts.items()}})
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


def figure(point: Mapping[str, Any], f32: np.ndarray, abnormal: np.ndarray) -> tuple[str, Callable[[Any], float]]:
    """The figure that must hold, higher is better, and 1 for equal scores where it is not the AUROC.

    Args:
        point: Record of the f32 model's operating point; a two-sided rule ranks by distances.
        f32: Raw scores (n,) of the f32 graph.
        abnormal: Truth (n,) of bool.

    Returns:
        Its name, and raw scores (n,) of a graph to it: ``auroc`` where validation has both classes; else ``agreement``,
        the smaller of Spearman's rank correlation with f32 and the share of decisions that stay. NaN if a score is not
        finite.
    """
    was = Decider.of(point)

    def agreement(raw: np.ndarray) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        now = Decider.of(refitted(point, f32, raw, abnormal))
        stay = float((was.abnormal(f32) == now.abnormal(raw)).mean())
        return min(spearman(was.deciding(f32), now.deciding(raw)), stay)

    def ranking(raw: np.ndarray) -> float:
        return auroc(Decider.of(refitted(point, f32, raw, abnormal)).deciding(raw), abnormal)

    return ("auroc", ranking) if abnormal.any() and not abnormal.all() else ("agreement", agreement)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two scores (n,); ties share their mean rank. 1 for fewer than two values."""
    a, b = rankdata(first), rankdata(second)
    if a.std() == 0 or b.std() == 0:  # all tied: equal orders, or one that knows nothing of the other's
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(np.corrcoef(a, b)[0, 1])


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
        ``images``; ``figure`` (its name), ``f32``, ``reduced`` and ``drop``, for ``auroc`` with the 95 % interval
        ``drop_low`` to ``drop_high`` (DeLong by group, paired); ``rank_correlation``; ``flips``, each graph at its own
        threshold, and ``flips_at_f32_threshold``; ``score_relative`` (largest ``|a - b| / |a|``); ``threshold`` of
        both and whether it was ``refitted``. None where undefined.
    """
    abnormal = samples["abnormal"].to_numpy(dtype=bool)
    was, now = Decider.of(old), Decider.of(new)
    name, of = figure(old, f32, abnormal)
    before, after = of(f32), of(reduced)
    found: dict[str, Any] = {
        "images": {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())},
        "figure": name,
        "f32": before,
        "reduced": after,
        "drop": before - after,
    }
    if name == "auroc" and math.isfinite(after):
        paired = auroc_difference(was.deciding(f32), now.deciding(reduced), abnormal, samples["group"])
        found |= {"drop_low": paired.low, "drop_high": paired.high}
    decisions = was.abnormal(f32)
    found |= {
        "rank_correlation": spearman(was.deciding(f32), now.deciding(reduced)),
        "flips": int((decisions != now.abnormal(reduced)).sum()),
        "flips_at_f32_threshold": int((decisions != was.abnormal(reduced)).sum()),
        "score_relative": max(map(relative, f32.tolist(), reduced.tolist())),
        "threshold": {
            "f32": old["threshold"],
            "reduced": new["threshold"],
            "refitted": new["threshold"] != old["threshold"],
        },
    }
    return {key: None if isinstance(item, float) and not math.isfinite(item) else item for key, item in found.items()}


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
