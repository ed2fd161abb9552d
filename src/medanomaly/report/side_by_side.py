"""Render several runs on one page: figures in one table, differences on shared images, caveats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from medanomaly.evidence.compare import CompareError, compare
from medanomaly.metrics.formatting import number
from medanomaly.report import curves
from medanomaly.report.page import completed, environment

#: Rows of the table: key in ``image`` or ``pixel``, name, and how the figure is written.
IMAGE = (
    ("auroc", "AUROC", "number"),
    ("partial_auroc", "partial AUROC", "number"),
    ("average_precision", "average precision", "number"),
    ("sensitivity", "sensitivity", "percent"),
    ("specificity", "specificity", "percent"),
    ("balanced_accuracy", "balanced accuracy", "percent"),
    ("precision", "precision", "percent"),
    ("f1", "F1", "number"),
    ("mcc", "Matthews correlation", "number"),
    ("likelihood_ratio_positive", "positive likelihood ratio", "ratio"),
    ("likelihood_ratio_negative", "negative likelihood ratio", "ratio"),
)
PIXEL = (("auroc", "pixel AUROC", "number"), ("aupro", "AUPRO", "number"), ("dice", "Dice", "number"))
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Side:
    """One of the runs."""

    folder: Path  #: its folder, with predictions.csv
    evidence: Mapping[str, Any]  #: the content of its evidence.json
    scores: np.ndarray  #: (n,) float, the scores that decide
    abnormal: np.ndarray  #: (n,) bool, the truth
    report: str | None = None  #: address of its own report relative to the page; None where there is none


def render(sides: Sequence[Side]) -> str:
    """The page as one self-contained HTML string.

    Args:
        sides: At least two runs, at most 26. Runs on other images than the rest stand in the table all the same; where
            a pair cannot be compared the page says why.

    Raises:
        ValueError: for fewer or more runs.
    """
    if not 2 <= len(sides) <= len(_LETTERS):
        raise ValueError(f"2 to {len(_LETTERS)} runs stand side by side, not {len(sides)}")
    runs = [_run(letter, side) for letter, side in zip(_LETTERS, sides, strict=False)]
    drawn = [
        (f"{run['letter']}: {number(run['evidence']['image']['auroc'].get('value'))}", side.scores, side.abnormal)
        for run, side in zip(runs, sides, strict=True)
        if run["evidence"]["unranked"] is None
    ]
    chart = curves.roc_of_runs(drawn)
    return (
        environment()
        .get_template("runs.html.j2")
        .render(
            runs=runs,
            rows=_rows(runs),
            pairs=_pairs(sides),
            chart=None if chart is None else Markup(chart),
            version=max((run["evidence"]["run"]["versions"].get("medanomaly", "") for run in runs), default=""),
        )
    )


def _run(letter: str, side: Side) -> dict[str, Any]:
    whole = completed(side.evidence)
    colour, _ = curves.RUN_STYLES[_LETTERS.index(letter) % len(curves.RUN_STYLES)]
    return {
        "letter": letter,
        "folder": str(side.folder),
        "report": side.report,
        "evidence": whole,
        "colour": colour,
        "caveats": sorted(whole["caveats"], key=lambda caveat: caveat["severity"] != "warning"),
    }


def _rows(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table with a figure of each run; rows that no run has are left out."""
    rows = []
    for part, names in (("image", IMAGE), ("pixel", PIXEL)):
        for key, name, style in names:
            figures = [(run["evidence"][part] or {}).get(key) for run in runs]
            if any(figure and figure.get("value") is not None for figure in figures):
                rows.append({"name": name, "style": style, "figures": [figure or {} for figure in figures]})
    return rows


def _pairs(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """Each pair's record of :func:`~medanomaly.evidence.compare.compare`, or the ``reason`` why there is none."""
    found = []
    for i, first in enumerate(sides):
        for j, second in enumerate(sides[i + 1 :], i + 1):
            letters = {"first": _LETTERS[i], "second": _LETTERS[j]}
            try:
                found.append({**compare([first.folder, second.folder])[0], **letters, "reason": None})
            except CompareError as error:
                found.append({**letters, "reason": str(error)})
    return found
