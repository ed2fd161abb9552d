"""Compare two runs on the same images: which ranks and decides better, and whether chance explains the difference."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.data.required_cells import TableError
from medanomaly.errors import MedAnomalyError
from medanomaly.evidence import predictions
from medanomaly.evidence.predictions import ranking_scores
from medanomaly.evidence.run_layout import PREDICTIONS
from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.confusion import mcnemar
from medanomaly.metrics.delong import AurocDifference, auroc_difference, auroc_interval
from medanomaly.metrics.ranking import Ranking

#: With fewer images in common a comparison says nothing.
FEWEST = 10
DRAWS = 1000
_DEEPEST = 8  # parts of a path that matching may need
_NEEDED = ("path", "abnormal", "raw_score", "decision")


class CompareError(MedAnomalyError, ValueError):
    """Runs cannot be compared. The message says why, and names images."""


def read(folder: Path) -> pd.DataFrame:
    """A run's predictions: ``path``, ``abnormal``, ``decision``, ``ranked`` (the scores that decide) and ``group``.

    Raises:
        CompareError: if the file is missing, lacks a column, names an image twice, or holds a score that is no finite
            number or a truth or decision that is not true or false.
    """
    file = folder / PREDICTIONS
    if not file.is_file():
        raise CompareError(f"{file} is not there. A run's folder holds it after `medanomaly train` or `test`.")
    try:
        table = predictions.read(file)
    except TableError as error:
        raise CompareError(str(error)) from error
    lacks = [name for name in _NEEDED if name not in table]
    if lacks:
        known = {"raw_score": "raw scores of this run are not known", "decision": "this run decides nothing"}
        why = "; ".join(known[name] for name in lacks if name in known)
        raise CompareError(f"{file} has no column {', '.join(lacks)}" + (f": {why}" if why else ""))
    try:
        scores = ranking_scores(table)
    except ValueError as error:
        raise CompareError(f"{file}: a score is no number ({error})") from None
    for bad, what in ((table["path"].duplicated(), "named twice"), (~np.isfinite(scores), "without a finite score")):
        if bad.any():
            raise CompareError(
                f"{file}: {int(bad.sum())} images are {what}, the first {table.loc[bad, 'path'].iloc[0]}"
            )
    groups = table["group"] if "group" in table else table["path"]
    return table[["path"]].assign(
        abnormal=table["abnormal"].astype(bool), decision=table["decision"].astype(bool), ranked=scores, group=groups
    )


def match(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows of images that both tables hold, side by side.

    By path; if no path is in both, as when a data set lay elsewhere, by file name, with as many of the folders above it
    as tell all images of either table apart.

    Args:
        first: As :func:`read` returns it.
        second: Likewise.

    Returns:
        Columns of both with the suffixes ``_1`` and ``_2``, and how images were matched, in words.

    Raises:
        CompareError: if paths differ and neither file names nor folders tell the images apart.
    """
    if first["path"].isin(second["path"]).any():
        return _side_by_side(first, second, 0), "path"
    for depth in range(1, _DEEPEST + 1):
        if not any(_keys(table, depth).duplicated().any() for table in (first, second)):
            how = "file name" if depth == 1 else f"the last {depth} parts of the path"
            return _side_by_side(first, second, depth), how
    raise CompareError("no path is in both runs, and file names are ambiguous: test both on one folder")


def _side_by_side(first: pd.DataFrame, second: pd.DataFrame, depth: int) -> pd.DataFrame:
    keyed = (table.assign(key=_keys(table, depth)) for table in (first, second))
    return next(keyed).merge(next(keyed), "inner", "key", suffixes=("_1", "_2"))


def _keys(table: pd.DataFrame, depth: int) -> pd.Series:
    """The last parts of the paths; whole paths for 0."""
    return table["path"].map(lambda path: "/".join(PurePath(path.replace("\\", "/")).parts[-depth:]) if depth else path)


def compare(folders: list[Path], draws: int = DRAWS, seed: int = 0) -> list[dict[str, Any]]:
    """Compare each pair of runs.

    Images of one group are kept together if a run knows groups: DeLong's interval then has Obuchowski's variance.
    McNemar's test takes images one by one in any case.

    Args:
        folders: At least two runs' folders.
        draws: Draws of the bootstrap.
        seed: Seed of the bootstrap.

    Returns:
        One record a pair, of plain JSON values; undefined is None. Each ``auroc`` names its ``interval``'s method; an
        interval of the ``difference`` that is None has a ``reason``.

    Raises:
        CompareError: if a run cannot be read, the truths of an image contradict, or too few images match.
    """
    if len(folders) < 2:
        raise CompareError("at least two runs are needed")
    tables = [read(folder) for folder in folders]
    return [
        {"first": str(folders[i]), "second": str(folders[j]), **_pair(tables[i], tables[j], draws, seed)}
        for i, j in combinations(range(len(folders)), 2)
    ]


def _pair(first: pd.DataFrame, second: pd.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    both, how = match(first, second)
    if len(both) < FEWEST:
        raise CompareError(
            f"only {len(both)} images match, of {len(first)} and {len(second)}; at least {FEWEST} are needed. The runs "
            "were tested on other images."
        )
    differ = both["abnormal_1"] != both["abnormal_2"]
    if differ.any():
        raise CompareError(
            f"the truth of {int(differ.sum())} of {len(both)} images differs between the runs (matched by {how}), the "
            f"first {both.loc[differ, 'path_1'].iloc[0]}"
        )
    abnormal = both["abnormal_1"].to_numpy()
    scores = [both[f"ranked_{k}"].to_numpy() for k in (1, 2)]
    right = [both[f"decision_{k}"].to_numpy() == abnormal for k in (1, 2)]
    groups = _groups(both)
    bootstrap = GroupBootstrap(np.arange(len(both)) if groups is None else groups, draws, seed)
    a, b = (Ranking(one, abnormal) for one in scores)
    delong = auroc_difference(scores[0], scores[1], abnormal, groups)
    low, high = bootstrap.interval(lambda w: a.auroc(w) - b.auroc(w), "student")
    found: dict[str, dict[str, Any]] = {
        "delong": {"low": _plain(delong.low), "high": _plain(delong.high), "p": _plain(delong.p)},
        "bootstrap": {"low": _plain(low), "high": _plain(high), "draws": draws},
    }
    for one in found.values():
        if one["low"] is None:
            one["reason"] = _no_difference(abnormal, delong)
    return {
        "images": {"common": len(both), "first": len(first), "second": len(second), "matched_by": how},
        "normal": int((~abnormal).sum()),
        "abnormal": int(abnormal.sum()),
        "groups": bootstrap.number,
        "auroc": [
            {"value": _plain(one.value), "low": _plain(one.low), "high": _plain(one.high), "interval": one.method}
            for one in (auroc_interval(score, abnormal, groups) for score in scores)
        ],
        "difference": {
            "value": _plain(delong.value),
            **found,
        },
        "decisions": {
            name: _decisions(right[0][part], right[1][part])
            for name, part in (("all", np.full(len(both), True)), ("abnormal", abnormal), ("normal", ~abnormal))
        },
    }


def _no_difference(abnormal: np.ndarray, difference: AurocDifference) -> str:
    """Why the difference of two AUROCs has no interval."""
    if abnormal.all() or not abnormal.any():
        return f"the images in common are all {'abnormal' if abnormal.all() else 'normal'}"
    if np.isnan(difference.variance):
        return "a class is in fewer than two groups"
    if difference.variance == 0:
        return "the scores rank all images alike" if difference.value == 0 else "the difference does not vary"
    return "too few draws hold both classes"


def _groups(both: pd.DataFrame) -> np.ndarray | None:
    """Groups of the run that knows more of them; None if each image is its own."""
    coarsest = min((both["group_1"], both["group_2"]), key=lambda column: column.nunique())
    return coarsest.to_numpy() if coarsest.duplicated().any() else None


def _decisions(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    alone = int((first & ~second).sum()), int((second & ~first).sum())
    return {
        "images": len(first),
        "right": [int(first.sum()), int(second.sum())],
        "first_alone": alone[0],
        "second_alone": alone[1],
        "p": _plain(mcnemar(*alone)),
    }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
