"""Figures of a run's images: ranking, decisions, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.evidence import calibration as probabilities
from medanomaly.evidence import two_by_two as tables
from medanomaly.evidence.delong import auroc_interval
from medanomaly.evidence.estimates import Asked, estimate, estimates, figure, number, proportion
from medanomaly.evidence.metrics import NAN, Confusion, GroupBootstrap, Ranking
from medanomaly.evidence.run_tables import PART, ranked

DRAWS = 1000
#: Shares of abnormal images that predictive values are given for: screening and referral; the test's own besides.
PREVALENCES = (0.01, 0.1)
#: Largest false-positive rate of the partial AUROC.
MAX_FPR = 0.1


def image_metrics(
    predictions: pd.DataFrame,
    seed: int = 0,
    validation: pd.DataFrame | None = None,
    prevalences: Sequence[float] = PREVALENCES,
) -> dict[str, Any]:
    """Image figures with intervals.

    Args:
        predictions: One row an image with ``raw_score`` (float), ``decision`` and ``abnormal`` (bool), ``group``,
            ``part_…`` (float) for each part of the score, and for a two-sided rule the ``distance`` (float) from its
            centre, which then is what is ranked.
        seed: Seed of the bootstrap.
        validation: Likewise of the validation images; with both classes, scores become probabilities by Platt's method
            fitted on them. None or one class leaves calibration out.
        prevalences: Shares of abnormal images in (0, 1) that predictive values are given for.

    Raises:
        ValueError: if a score is NaN or infinite; names the images.
    """
    scores = ranked(predictions)
    abnormal = predictions["abnormal"].to_numpy(dtype=bool)
    decision = predictions["decision"].to_numpy(dtype=bool)
    bad = predictions.loc[~np.isfinite(scores), "path"]
    if len(bad):
        raise ValueError(f"{len(bad)} images have a NaN or infinite score: {', '.join(map(str, bad[:5]))}")
    table, bootstrap = Confusion.of(decision, abnormal), GroupBootstrap(predictions["group"], DRAWS, seed)
    own = float(abnormal.mean()) if 0 < abnormal.sum() < len(abnormal) else None
    drawn = _drawn(scores, abnormal, decision, bootstrap)
    one_class = _one_class(abnormal)
    return {
        "images": len(predictions),
        "normal": int((~abnormal).sum()),
        "abnormal": int(abnormal.sum()),
        "prevalence": float(abnormal.mean()),
        "groups": bootstrap.number,
        "auroc": {**drawn["auroc"], "delong": _delong(scores, abnormal, predictions["group"])},
        "partial_auroc": {**drawn["partial_auroc"], "fpr": MAX_FPR},
        "average_precision": drawn["average_precision"]
        if own is not None
        else {"value": None, "low": None, "high": None, "interval": "", "reason": one_class},
        "sensitivity": proportion(*table.sensitivity),
        "specificity": proportion(*table.specificity),
        "precision": proportion(*table.precision),
        "f1": drawn["f1"],
        "flag_all_f1": number(tables.flag_all_f1(float(abnormal.mean()))),
        "balanced_accuracy": figure(tables.balanced_accuracy(table), "95 % Newcombe, of both Wilson intervals"),
        "mcc": drawn["mcc"],
        "likelihood_ratio_positive": figure(tables.positive_likelihood_ratio(table), "95 % log method"),
        "likelihood_ratio_negative": figure(tables.negative_likelihood_ratio(table), "95 % log method"),
        "predictive_values": _predictive(table, prevalences, own),
        "confusion": vars(table).copy(),
        "parts": {
            name.removeprefix(PART): estimate(
                Ranking(predictions[name].to_numpy(dtype=np.float64), abnormal).auroc, bootstrap, one_class
            )
            for name in predictions.columns
            if name.startswith(PART)
        },
        "calibration": _calibration(scores, abnormal, validation, predictions),
    }


def _one_class(abnormal: np.ndarray) -> str:
    return f"the test set has only {'abnormal' if abnormal.all() else 'normal'} images"


def _drawn(
    scores: np.ndarray, abnormal: np.ndarray, decision: np.ndarray, bootstrap: GroupBootstrap
) -> dict[str, dict[str, Any]]:
    """The figures whose intervals are made by drawing groups, from the same draws."""
    ranking, cell = Ranking(scores, abnormal), 2 * abnormal + decision
    one_class = _one_class(abnormal)

    def metrics(weights: np.ndarray | None) -> list[float]:
        true_negative, false_positive, false_negative, true_positive = np.bincount(cell, weights, 4)
        either = 2 * true_positive + false_positive + false_negative
        counts = Confusion(int(true_positive), int(false_positive), int(false_negative), int(true_negative))
        return [
            *ranking.areas(MAX_FPR, weights),
            2 * true_positive / either if either else NAN,
            tables.matthews(counts),
        ]

    asked = {
        "auroc": Asked(one_class),
        # McClish's scale is centred on chance: below 0.5 it may leave [0, 1].
        "partial_auroc": Asked(one_class, share=False),
        "average_precision": Asked(one_class),
        "f1": Asked("nothing is abnormal and nothing flagged"),
        "mcc": Asked("all images are decided alike", share=False),
    }
    return estimates(metrics, asked, bootstrap)


def _delong(scores: np.ndarray, abnormal: np.ndarray, groups: pd.Series) -> dict[str, Any]:
    found = auroc_interval(scores, abnormal, groups.to_numpy())
    return {"low": number(found.low), "high": number(found.high), "interval": f"95 % {found.method}"}


def _predictive(table: Confusion, prevalences: Sequence[float], own: float | None) -> list[dict[str, Any]]:
    method = "95 % logit method, the prevalence known"
    rows = []
    for prevalence in sorted({*prevalences, *([] if own is None else [own])}):
        ppv, npv = tables.predictive_values(table, prevalence)
        rows.append(
            {
                "prevalence": prevalence,
                "of_test": prevalence == own,
                "ppv": figure(ppv, method),
                "npv": figure(npv, method),
            }
        )
    return rows


def _calibration(
    scores: np.ndarray, abnormal: np.ndarray, validation: pd.DataFrame | None, predictions: pd.DataFrame
) -> dict[str, Any] | None:
    """Agreement of Platt's probabilities, fitted on validation, with the test images; None where it cannot be."""
    if validation is None or not 0 < validation["abnormal"].sum() < len(validation) or not len(scores):
        return None
    known = ranked(validation)
    if ("distance" in validation) != ("distance" in predictions) or not np.isfinite(known).all():
        return None
    model = probabilities.fit_platt(known, validation["abnormal"].to_numpy(dtype=bool))
    said = probabilities.calibrate(model, scores)
    return {
        "method": "platt",
        "model": model,
        "prevalence": float(validation["abnormal"].mean()),
        "ece": number(probabilities.expected_calibration_error(said, abnormal)),
        "brier": number(probabilities.brier(said, abnormal)),
        "curve": [_bin(one) for one in probabilities.reliability(said, abnormal)],
    }


def _bin(one: probabilities.Bin) -> Mapping[str, Any]:
    return {
        "mean": one.probability,
        "observed": one.observed,
        "low": one.low,
        "high": one.high,
        "count": one.images,
    }
