"""Read scores with their truth from a user's CSV, for a new operating point."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from medanomaly import csv_text
from medanomaly.csv_cells import among, missing, some
from medanomaly.decision.rule_table import LARGEST
from medanomaly.errors import MedAnomalyError

logger = logging.getLogger(__name__)

_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_NORMAL = "normal"
#: Marks the problem of a number that 32 bit do not hold.
_RANGE = ", in 32 bit"
_EXPECTED = {
    "raw_score": "is no finite number",
    f"raw_score{_RANGE}": f"is beyond the range of 32-bit numbers (up to {LARGEST:.2g})",
    "abnormal": "is not true or false",
    "label": "is missing, so that the image is neither normal nor abnormal,",
}
#: A number whose decimals follow a comma, as spreadsheets write it that separate columns by semicolons.
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


class DecideError(MedAnomalyError, ValueError):
    """An operating point cannot be changed. The message says why and what to do."""


def read_scores(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores (n,) float32 and their truth (n,) of bool from a CSV.

    Args:
        path: With a column ``raw_score``, and ``abnormal`` (true or false, 1 or 0) or else ``label``, where ``normal``
            is normal, upper and lower case and blanks aside, and every other class abnormal. What spreadsheets write
            otherwise is read as :func:`medanomaly.csv_text.read` does, and logged.

    Raises:
        DecideError: if the file or a column is missing, or a row has no finite score or no truth; names the lines.
    """
    try:
        table = csv_text.read(
            path, [("raw_score",), ("abnormal", "label")], (), _holds, "holds scores that are no numbers"
        )
    except csv_text.LacksError as error:
        has = sorted(error.names)
        raise DecideError(f"{path}: needs the columns raw_score and abnormal (or label), and has {has}.") from error
    except csv_text.CsvError as error:
        raise DecideError(str(error)) from error
    truth = "abnormal" if "abnormal" in table.names else "label"
    score_at, truth_at = table.names.index("raw_score"), table.names.index(truth)
    written = [row[score_at] for row in table.rows]
    texts = _with_points(table, written)
    scores, abnormal = [_finite(text) for text in texts], [_truth(row[truth_at], truth) for row in table.rows]
    wrong: dict[str, list[str]] = {}
    renamed: dict[str, int] = {}
    for line, row, score, known in zip(table.lines, table.rows, scores, abnormal, strict=True):
        for column, at, value in (("raw_score", score_at, score), (truth, truth_at, known)):
            if value is None:
                problem = f"raw_score{_RANGE}" if column == "raw_score" and _is_number(row[at]) else column
                wrong.setdefault(problem, []).append(f"{line} ('{row[at]}')")
        if truth == "label" and known is False and row[truth_at] != _NORMAL:
            renamed[row[truth_at]] = renamed.get(row[truth_at], 0) + 1
    if wrong:
        raise DecideError(
            "\n".join(
                f"{path}: {column.removesuffix(_RANGE)} {_EXPECTED[column]} in {len(found)} of {len(scores)} rows: "
                f"line {some(found)}. "
                "Correct them, or take them out."
                for column, found in wrong.items()
            )
        )
    for note in table.notes:
        logger.warning(note)
    for label, number in renamed.items():
        logger.warning("%s: label '%s' (%d rows) taken for '%s'.", path, label, number, _NORMAL)
    return np.array(scores, dtype=np.float32), np.array(abnormal, dtype=bool)


def _holds(table: csv_text.CsvText) -> bool:
    """Whether other letters than English ones stand in no score: a class may be called so."""
    at = table.names.index("raw_score")
    return all(row[at].isascii() for row in table.rows)


def _with_points(table: csv_text.CsvText, cells: Collection[str]) -> list[str]:
    """Numbers with a point; a comma is one where no comma separates columns, and no number has a point."""
    plain = table.separator == "," or any("." in cell for cell in cells)
    commas = [cell for cell in cells if _COMMA.fullmatch(cell.strip())]
    if plain or not commas:
        return list(cells)
    table.notes.append(f"The decimals of {len(commas)} scores follow a comma.")
    return [cell.replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell for cell in cells]


def _is_number(cell: str) -> bool:
    """Whether a score that cannot be used is a number, as written with a point."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _finite(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if -LARGEST <= value <= LARGEST else None


def _truth(cell: str, column: str) -> bool | None:
    if column == "abnormal":
        return _TRUTH.get(cell.strip().lower())
    return None if missing(cell) else among(cell, [_NORMAL]) is None
