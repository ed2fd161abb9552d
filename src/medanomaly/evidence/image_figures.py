"""Compute a run's image figures: ranking, decisions, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.evidence.bootstrap_figures import FigureSpec, estimate, estimates, figure, number, proportion
from medanomaly.evidence.predictions import PART, ranking_scores
from medanomaly.evidence.stages import ScoreError
from medanomaly.metrics import calibration as probabilities
from medanomaly.metrics import confusion as tables
from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.confusion import Confusion
from medanomaly.metrics.delong import auroc_interval
from medanomaly.metrics.interval import NAN
from medanomaly.metrics.ranking import Ranking

DRAWS = 1000
#: Shares of abnormal images that predictive values are given for: screening and referral; the test's own besides.
PREVALENCES = (0.01, 0.1)
#: Largest false-positive rate of the partial AUROC.
MAX_FPR = 0.1
NO_SCORE = "raw scores are not known"
NO_DECISION = "the model has no threshold, so it decides nothing"


def image_metrics(
    predictions: pd.DataFrame,
    seed: int = 0,
    validation: pd.DataFrame | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    unranked: str | None = None,
) -> dict[str, Any]:
    """Image figures with intervals.

    Args:
        predictions: One row an image with ``raw_score`` (float), ``decision`` and ``abnormal`` (bool), ``group``,
            ``part_…`` (float) for each part of the score, and for a two-sided rule the ``distance`` (float) from its
            centre, which then is what is ranked. Without ``raw_score`` what ranks is undefined, without ``decision``
            what decides.
        seed: Seed of the bootstrap.
        validation: Likewise of the validation images; with both classes, scores become probabilities by Platt's method
            fitted on them. None or one class leaves calibration out.
        prevalences: Shares of abnormal images in (0, 1) that predictive values are given for.
        unranked: Why there are no raw scores, where there are none.

    Raises:
        ScoreError: if a score is NaN or infinite; names the images.
    """
    abnormal = predictions["abnormal"].to_numpy(dtype=bool)
    scores = ranking_scores(predictions) if "raw_score" in predictions else None
    decision = predictions["decision"].to_numpy(dtype=bool) if "decision" in predictions else None
    if scores is not None and not np.isfinite(scores).all():
        bad = predictions.loc[~np.isfinite(scores), "path"]
        listed = f": {', '.join(map(str, bad[:5]))}"
        raise ScoreError(f"{len(bad)} images have a NaN or infinite score", listed)
    bootstrap = GroupBootstrap(predictions["group"], DRAWS, seed)
    own = float(abnormal.mean()) if 0 < abnormal.sum() < len(abnormal) else None
    one_class = _one_class(abnormal)
    unranked = one_class if scores is not None else unranked or NO_SCORE
    drawn = _drawn(scores, abnormal, decision, bootstrap, unranked)
    delong = _delong(scores, abnormal, predictions["group"])
    nothing_abnormal = undefined(one_class if decision is not None else NO_DECISION)
    return {
        **_counted(predictions, bootstrap.number),
        "auroc": {**_settled(drawn["auroc"], delong), "delong": delong},
        "partial_auroc": {**drawn["partial_auroc"], "fpr": MAX_FPR},
        "average_precision": drawn["average_precision"] if own is not None else undefined(unranked),
        "f1": drawn["f1"] if abnormal.any() else nothing_abnormal,
        "mcc": drawn["mcc"],
        **(_undecided(NO_DECISION) if decision is None else _decided(decision, abnormal, prevalences, own)),
        "flag_all_f1": number(tables.flag_all_f1(float(abnormal.mean()))),
        "parts": {
            name.removeprefix(PART): _part(
                predictions[name].to_numpy(dtype=np.float64), abnormal, predictions["group"], bootstrap
            )
            for name in predictions.columns
            if name.startswith(PART)
        },
        "calibration": None if scores is None else _calibration(scores, abnormal, validation, predictions),
    }


def _part(values: np.ndarray, abnormal: np.ndarray, groups: pd.Series, bootstrap: GroupBootstrap) -> dict[str, Any]:
    if not np.isfinite(values).all():
        return undefined("it is NaN or infinite for some images")
    drawn = estimate(Ranking(values, abnormal).auroc, bootstrap, _one_class(abnormal))
    return _settled(drawn, _delong(values, abnormal, groups))


def _settled(auroc: dict[str, Any], delong: dict[str, Any]) -> dict[str, Any]:
    """An AUROC with DeLong's interval where the draws give none, as where all of them rank perfectly."""
    if auroc["value"] is None or auroc["low"] is not None or delong["low"] is None:
        return auroc
    return {"value": auroc["value"], **delong}


def undefined(reason: str) -> dict[str, Any]:
    """A figure that could not be made."""
    return {"value": None, "low": None, "high": None, "interval": "", "reason": reason}


def undefined_metrics(predictions: pd.DataFrame, reason: str) -> dict[str, Any]:
    """The record of :func:`image_metrics` where figures could not be made: counts, and each figure undefined."""
    return {
        **_counted(predictions, int(predictions["group"].nunique()) if "group" in predictions else len(predictions)),
        "auroc": {**undefined(reason), "delong": _delong(None, np.empty(0), predictions["path"])},
        "partial_auroc": {**undefined(reason), "fpr": MAX_FPR},
        **{name: undefined(reason) for name in ("average_precision", "f1", "mcc")},
        **_undecided(reason),
        "flag_all_f1": None,
        "parts": {},
        "calibration": None,
    }


def _counted(predictions: pd.DataFrame, groups: int) -> dict[str, Any]:
    abnormal = predictions["abnormal"].to_numpy(dtype=bool)
    return {
        "images": len(predictions),
        "normal": int((~abnormal).sum()),
        "abnormal": int(abnormal.sum()),
        "prevalence": float(abnormal.mean()) if len(abnormal) else None,
        "groups": groups,
    }


def _decided(
    decision: np.ndarray, abnormal: np.ndarray, prevalences: Sequence[float], own: float | None
) -> dict[str, Any]:
    """Figures of the 2×2 table."""
    table = Confusion.of(decision, abnormal)
    one_class = _one_class(abnormal)
    precision = proportion(*table.precision)
    if not abnormal.any():
        precision |= undefined(one_class)
    return {
        "sensitivity": _reasoned(proportion(*table.sensitivity), one_class),
        "specificity": _reasoned(proportion(*table.specificity), one_class),
        "precision": _reasoned(precision, "no image is flagged"),
        "balanced_accuracy": _reasoned(
            figure(tables.balanced_accuracy(table), "95 % Newcombe, of both Wilson intervals"), one_class
        ),
        "likelihood_ratio_positive": _reasoned(
            figure(tables.positive_likelihood_ratio(table), "95 % log method"),
            "no normal image is flagged" if own is not None else one_class,
        ),
        "likelihood_ratio_negative": _reasoned(
            figure(tables.negative_likelihood_ratio(table), "95 % log method"),
            "no normal image passes" if own is not None else one_class,
        ),
        "predictive_values": _predictive(table, prevalences, own),
        "confusion": vars(table).copy(),
    }


def _reasoned(record: dict[str, Any], reason: str) -> dict[str, Any]:
    """The figure, with the reason if it is undefined and has none yet."""
    return record if record["value"] is not None else {"reason": reason, **record}


def _undecided(reason: str) -> dict[str, Any]:
    """What :func:`_decided` gives, where no decision is known."""
    names = ("sensitivity", "specificity", "precision", "balanced_accuracy", "likelihood_ratio_positive",
             "likelihood_ratio_negative")  # fmt: skip
    return {**{name: undefined(reason) for name in names}, "predictive_values": [], "confusion": None}


def _one_class(abnormal: np.ndarray) -> str:
    return f"the test set has only {'abnormal' if abnormal.all() else 'normal'} images"


def _drawn(
    scores: np.ndarray | None,
    abnormal: np.ndarray,
    decision: np.ndarray | None,
    bootstrap: GroupBootstrap,
    unranked: str,
) -> dict[str, dict[str, Any]]:
    """The figures whose intervals are made by drawing groups, from the same draws."""
    ranking = None if scores is None else Ranking(scores, abnormal)
    cell = None if decision is None else 2 * abnormal + decision

    def metrics(weights: np.ndarray | None) -> list[float]:
        areas = (NAN, NAN, NAN) if ranking is None else ranking.areas(MAX_FPR, weights)
        if cell is None:
            return [*areas, NAN, NAN]
        true_negative, false_positive, false_negative, true_positive = np.bincount(cell, weights, 4)
        either = 2 * true_positive + false_positive + false_negative
        counts = Confusion(int(true_positive), int(false_positive), int(false_negative), int(true_negative))
        return [
            *areas,
            2 * true_positive / either if either else NAN,
            tables.matthews(counts),
        ]

    asked = {
        "auroc": FigureSpec(unranked),
        # McClish's scale is centred on chance: below 0.5 it may leave [0, 1].
        "partial_auroc": FigureSpec(unranked, share=False),
        "average_precision": FigureSpec(unranked),
        "f1": FigureSpec(NO_DECISION),
        "mcc": FigureSpec(_no_matthews(cell, abnormal), share=False),
    }
    return estimates(metrics, asked, bootstrap)


def _no_matthews(cell: np.ndarray | None, abnormal: np.ndarray) -> str:
    """Why Matthews' correlation is undefined, if it is."""
    if cell is None:
        return NO_DECISION
    return "all images are decided alike" if 0 < abnormal.sum() < len(abnormal) else _one_class(abnormal)


def _delong(scores: np.ndarray | None, abnormal: np.ndarray, groups: pd.Series) -> dict[str, Any]:
    if scores is None:
        return {"low": None, "high": None, "interval": ""}
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
    known = ranking_scores(validation)
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
