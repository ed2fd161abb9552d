"""Make, read and write the tables of a run: ``predictions.csv`` and ``validation.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from medanomaly.csv_cells import some
from medanomaly.data.required_cells import TableError
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.files import replacing

#: A file's name that is no UTF-8 is written byte by byte, and read back as it was.
_NAMES: Final = "surrogateescape"
#: Columns that hold the parts of a raw score begin so.
PART = "part_"
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
#: A decision is written in the words of the edge's records, a bool in memory. In 0.1.0 files held True and False.
_DECISION = {"abnormal": True, "normal": False}
_FIRST = ("path", "label", "group", "abnormal", "raw_score", "distance", "score", "decision", "p_value")


def with_labels(rows: pd.DataFrame, table: pd.DataFrame | None) -> pd.DataFrame:
    """Rows with ``label`` and ``group`` of their images, columns in the order of the run's files.

    Args:
        rows: ``path``, ``abnormal`` and scores, one row an image.
        table: The sample table; None or without an image where only the truth is known.
    """
    rows = rows.copy()
    known = table.drop_duplicates("image_path").set_index("image_path") if table is not None else pd.DataFrame()
    for column, fallback in (
        ("label", rows["abnormal"].map({True: "abnormal", False: "normal"})),
        ("group", rows["path"]),
    ):
        rows[column] = rows["path"].map(known[column]).fillna(fallback) if column in known else fallback
    return ordered(rows)


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns in the order of the run's files; others than these and the parts of scores are left out."""
    parts = [name for name in rows.columns if name.startswith(PART)]
    return rows[[name for name in _FIRST if name in rows] + parts]


def validation_table(rows: Mapping[str, Any], table: pd.DataFrame | None) -> pd.DataFrame:
    """``validation.csv``: the scores that an operating point was fitted on, see ``OperatingPoint.validation``."""
    scores = {name: rows[name] for name in ("path", "abnormal", "raw_score")}
    scores["path"] = rows["path"] or [""] * len(rows["raw_score"])
    return with_labels(pd.DataFrame({**scores, **{PART + name: part for name, part in rows["parts"].items()}}), table)


def with_decisions(predictions: pd.DataFrame, point: Mapping[str, Any]) -> pd.DataFrame:
    """Predictions with the scores and decisions of an operating point in place of those of another.

    Args:
        predictions: One row an image, with ``raw_score``.
        point: The record of the operating point.

    Returns:
        The same rows with ``score`` and ``decision``; ``distance`` from the centre for a two-sided rule, ``p_value``
        for ``conformal``.
    """
    decider = DecisionFunction.of(point)
    raw = predictions["raw_score"].to_numpy(dtype=np.float32)
    rows = predictions.drop(columns=["distance", "p_value"], errors="ignore")
    rows = rows.assign(score=decider.score(raw), decision=decider.abnormal(raw))
    rows = rows.assign(**extra(raw, point))
    return rows[[name for name in _FIRST if name in rows] + [name for name in rows if name not in _FIRST]]


def extra(raw: np.ndarray, point: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns that only some rules have, of raw scores (n,): ``distance`` or ``p_value``."""
    decider = DecisionFunction.of(point)
    columns = {} if decider.centre is None else {"distance": decider.ranking_score(raw)}
    return columns if decider.known is None else {**columns, "p_value": decider.p_value(raw)}


def ranking_scores(predictions: pd.DataFrame) -> np.ndarray:
    """The scores (n,) that decide: raw ones, or a two-sided rule's distances.

    Raises:
        KeyError: where raw scores are not known.
    """
    return predictions["distance" if "distance" in predictions else "raw_score"].to_numpy(dtype=np.float64)


def shown(predictions: pd.DataFrame) -> np.ndarray:
    """The scores (n,) of a histogram: those that decide; where raw ones are not known, mapped ones; NaN without."""
    if "raw_score" in predictions:
        return ranking_scores(predictions)
    known = "score" in predictions
    return predictions["score"].to_numpy(dtype=np.float64) if known else np.full(len(predictions), np.nan)


def read(path: Path) -> pd.DataFrame:
    """A table that was written by :func:`write`, or by an earlier version.

    Returns:
        One row an image; ``abnormal`` and ``decision`` are bool, also where the file says ``abnormal`` and ``normal``.

    Raises:
        TableError: if a truth or a decision is missing or something else, since it would read as abnormal; names the
            lines.
    """
    text = {"path": str, "label": str, "group": str}
    names = pd.read_csv(path, nrows=0, encoding_errors=_NAMES).columns
    # A class may be called "NA"; a part may be undefined.
    empty = {name: [""] for name in names if name not in text}
    table = pd.read_csv(
        path,
        dtype=text,
        keep_default_na=False,
        na_values=empty,
        float_precision="round_trip",
        encoding_errors=_NAMES,
    )
    for name, known, words in (
        ("abnormal", _TRUTH, "true and false"),
        ("decision", {**_TRUTH, **_DECISION}, "abnormal and normal"),
    ):
        if name not in table:
            continue
        values = [known.get(str(cell).strip().lower()) for cell in table[name]]
        odd = [f"{line} ('{cell}')" for line, cell in enumerate(table[name], 2) if values[line - 2] is None]
        if odd:
            raise TableError(f"{path}: column {name} holds more than {words}: line {some(odd)}.")
        table[name] = np.array(values, dtype=bool)
    return table


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole or not at all; nine digits keep 32-bit scores exactly.

    Args:
        rows: As :func:`read` returns them; decisions are bool and are written ``abnormal`` and ``normal``.
        path: The file.
    """
    if "decision" in rows:
        rows = rows.assign(decision=np.where(rows["decision"].to_numpy(dtype=bool), "abnormal", "normal"))
    with replacing(path) as part:
        rows.to_csv(part, index=False, float_format="%.9g", errors=_NAMES)


def rows_of(batch: Any, first: int = 0) -> list[dict[str, Any]]:
    """A tested batch as rows: path, truth and, as far as they are known, raw score, score and decision of each image.

    Args:
        batch: After the post-processor: ``image_path``, ``gt_label``, ``raw_score``, ``pred_score``, ``pred_label``.
            All but the truth may be None. Images without a path are numbered, so that each is one of its own.
        first: How many images were tested before.

    Raises:
        TableError: if the batch has no labels, see :func:`labelled`.
    """
    labelled(batch)
    number, columns = len(batch.gt_label), {}
    columns["path"] = list(batch.image_path or (f"image {first + i}" for i in range(1, number + 1)))
    columns["abnormal"] = batch.gt_label.flatten().cpu().bool().tolist()
    if getattr(batch, "raw_score", None) is not None:
        columns["raw_score"] = batch.raw_score.detach().flatten().float().cpu().numpy()
    for name, field in (("score", batch.pred_score), ("decision", batch.pred_label)):
        if field is not None and field.numel() == number:
            values = field.detach().flatten().cpu()
            columns[name] = values.bool().tolist() if name == "decision" else values.float().numpy()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def labelled(batch: Any) -> None:
    """Make sure that a tested batch has labels: without them there is nothing to compare scores with.

    Raises:
        TableError: if it has none, as a foreign data module's has where a label is unknown.
    """
    if batch.gt_label is None:
        raise TableError(f"Not every test image has a label: one is missing among {some(batch.image_path or ())}.")


def parts_of(batch: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """The parts of a tested batch's scores as rows; ``batch.parts`` is (B, number of names)."""
    columns = [PART + name for name in names]
    return [dict(zip(columns, row, strict=True)) for row in batch.parts.detach().cpu().numpy()]


def predictions_of(rows: Sequence[Mapping[str, Any]], mapped: bool) -> pd.DataFrame:
    """All rows of a test as a table; a column that some rows lack is left out.

    Args:
        rows: Of :func:`rows_of`.
        mapped: Whether ``score`` is known to be another scale than the raw one's. Otherwise a score that equals the
            raw one throughout is left out: it was not mapped to (0, 1), and nothing is at 0.5.
    """
    found = pd.DataFrame(rows)
    every = [name for name in found if all(name in row for row in rows)]
    found = found[every]
    if (
        not mapped
        and {"raw_score", "score"} <= set(found)
        and np.array_equal(found["raw_score"].to_numpy(), found["score"].to_numpy(), equal_nan=True)
    ):
        found = found.drop(columns="score")
    return found
