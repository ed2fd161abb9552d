"""What is read from a tested run's folder. Every figure and interval is made by ``medanomaly.evidence``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.decision.decision_function import DecisionFunction, record
from medanomaly.decision.rules import fit
from medanomaly.evidence import predictions as run_tables
from medanomaly.evidence.bootstrap_figures import estimate, proportion
from medanomaly.evidence.image_figures import DRAWS, image_metrics
from medanomaly.evidence.predictions import ranking_scores
from medanomaly.evidence.run_layout import PREDICTIONS, VALIDATION
from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.ranking import Ranking

#: Figures of decisions that cells keep, by their names in the evidence.
DECISION = ("sensitivity", "specificity", "precision", "f1", "balanced_accuracy")


@dataclass(frozen=True)
class Tested:
    """The folder of a tested run.

    Args:
        folder: The folder.
        evidence: Content of its ``evidence.json``.
        predictions, validation: Its tables of scores.
    """

    folder: Path
    evidence: dict[str, Any]
    predictions: pd.DataFrame
    validation: pd.DataFrame

    @classmethod
    def load(cls, folder: Path) -> Tested:
        """Read a folder; validation images are decided and ranked as the test images are."""
        evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
        validation = run_tables.with_decisions(run_tables.read(folder / VALIDATION), evidence["operating_point"])
        return cls(folder, evidence, run_tables.read(folder / PREDICTIONS), validation)


def auroc(rows: pd.DataFrame, column: str | None = None) -> dict[str, Any]:
    """AUROC of rows by the score that decides, or by a column, with its interval by drawing groups."""
    scores = ranking_scores(rows) if column is None else rows[column].to_numpy(dtype=np.float64)
    ranking = Ranking(scores, rows["abnormal"].to_numpy(dtype=bool))
    return estimate(ranking.auroc, GroupBootstrap(rows["group"], DRAWS), "one class is missing")


def false_positives(rows: pd.DataFrame) -> dict[str, Any]:
    """Share of normal images that are flagged, with Wilson's interval."""
    normal = rows[~rows["abnormal"]]
    return proportion(int(normal["decision"].sum()), len(normal))


def flagged(rows: pd.DataFrame, label: str) -> dict[str, Any]:
    """Share of the images of one class that are flagged, with Wilson's interval."""
    same = rows[rows["label"] == label]
    return proportion(int(same["decision"].sum()), len(same))


def decided(
    rows: pd.DataFrame, validation: pd.DataFrame, rule: str, value: float | None = None, column: str = "raw_score"
) -> pd.DataFrame:
    """Rows decided by another rule, fitted on validation rows' raw scores or on a part of them.

    Args:
        rows: Test images.
        validation: The images that the threshold is chosen from.
        rule, value: See :mod:`medanomaly.decision.rules`.
        column: The score that decides.

    Returns:
        The rows with that column as ``raw_score``, the new ``decision``, and for a two-sided rule the ``distance``.
    """
    abnormal = validation["abnormal"].to_numpy(dtype=bool)
    scores = validation[column].to_numpy(dtype=np.float64)
    counts = {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())}
    decider = DecisionFunction.of(record(rule, value, fit(rule, value, scores, abnormal), scores[~abnormal], counts))
    raw = rows[column].to_numpy(dtype=np.float32)
    new = rows.drop(columns="distance", errors="ignore").assign(raw_score=raw, decision=decider.abnormal(raw))
    return new if decider.centre is None else new.assign(distance=decider.ranking_score(raw))


def decisions(rows: pd.DataFrame, prefix: str = "") -> dict[str, Any]:
    """Figures of decided rows, each with its interval, under names that begin with ``prefix``.

    ``precision`` is at the rows' own prevalence, ``precision_balanced`` where half of the images are abnormal.
    """
    found = image_metrics(rows, prevalences=(0.5,))
    balanced = next(one["ppv"] for one in found["predictive_values"] if one["prevalence"] == 0.5)
    named = {name: found[name] for name in DECISION}
    named |= {"precision_balanced": balanced, "false_positives": false_positives(rows)}
    return {prefix + name: figure for name, figure in named.items()}


def usual(run: Tested) -> dict[str, Any]:
    """AUROC on test and on validation, and the decisions of the run's own rule."""
    return {
        "auroc": run.evidence["image"]["auroc"],
        "validation_auroc": auroc(run.validation),
        **decisions(run.predictions),
    }


def pixel_figures(run: Tested, prefix: str) -> dict[str, Any]:
    """Localisation: pixel AUROC, AUPRO, Dice at the pixel threshold, and FROC where masks enclose lesions."""
    pixel = run.evidence["pixel"]
    if not pixel:
        return {}
    found = {"auroc": pixel["auroc"], "aupro": pixel["aupro"], "dice": pixel["dice"]}
    froc = next((one for one in pixel["froc_at"] if one["false_positives"] == 1.0), None)
    return {prefix + name: figure for name, figure in (found | {"froc_1": froc}).items() if figure}


def sensitivity_at(rows: pd.DataFrame, false_positive_rate: float) -> dict[str, Any]:
    """Sensitivity where the rows' own normals have a false-positive rate: a point of the ROC, chosen by no one.

    Args:
        rows: Test images; synthetic ones are best left out first.
        false_positive_rate: In (0, 1).
    """
    ranked = rows.assign(raw_score=ranking_scores(rows))
    found = decided(ranked, ranked, "specificity", 1 - false_positive_rate)
    return image_metrics(found)["sensitivity"]


def warnings(run: Tested) -> list[str]:
    """Titles of what the run's own report warns of."""
    return [caveat["title"] for caveat in run.evidence["caveats"] if caveat["severity"] == "warning"]
