"""A change of an operating point, written down."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.cells import among, missing, some
from medanomaly.decision.decider import summary

logger = logging.getLogger(__name__)

LOG = "decisions.jsonl"
_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_NORMAL = "normal"
_EXPECTED = {
    "raw_score": "is no finite number",
    "abnormal": "is not true or false",
    "label": "is missing, so that the image is neither normal nor abnormal,",
}


class DecideError(ValueError):
    """An operating point cannot be changed. The message says why and what to do."""


@dataclass(frozen=True)
class Change:
    """What changed.

    Args:
        old: The operating point before, without its history.
        new: Likewise after.
        what: The images whose decisions were compared.
        total: Their number.
        changed: Those among them that are decided otherwise now.
        flagged: Those among them that are flagged now.
        scores: File of the scores that the new one was fitted on; None where none was needed.
        notes: What else the reader should know.
        date: When, ISO 8601, UTC.
    """

    old: dict[str, Any]
    new: dict[str, Any]
    what: str
    total: int
    changed: int
    flagged: int
    scores: str | None
    notes: list[str] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    @property
    def nothing(self) -> bool:
        """Whether the new operating point is the old one."""
        return self.old == self.new

    def logged(self, folder: Path) -> str:
        """The text of ``decisions.jsonl`` in a run's or bundle's folder, with this change at its end."""
        path = folder / LOG
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        return before + json.dumps(asdict(self), ensure_ascii=False) + "\n"

    def sentences(self) -> str:
        """Old and new for the console."""
        lines = [_line("Was", self.old), _line("Is", self.new)]
        old, new = (point["pixel"] for point in (self.old, self.new))
        if old != new:
            lines += [_line("Pixels were", old), _line("Pixels are", new)]
        lines.append(
            f"{self.changed} of {self.total} {self.what} are decided otherwise; {self.flagged} are flagged now."
        )
        return "\n".join(lines + self.notes)


def with_history(new: Mapping[str, Any], old: Mapping[str, Any], date: str) -> dict[str, Any]:
    """The new record with the old one, and those before it, as its ``history``."""
    return {**new, "history": [*old.get("history", []), {**summary(old), "until": date}]}


def read_scores(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores (n,) float32 and their truth (n,) of bool from a CSV.

    Args:
        path: With a column ``raw_score``, and ``abnormal`` (true or false, 1 or 0) or else ``label``, where ``normal``
            is normal, upper and lower case and blanks aside, and every other class abnormal.

    Raises:
        DecideError: if the file or a column is missing, or a row has no finite score or no truth; names the lines.
    """
    scores, abnormal = [], []
    wrong: dict[str, list[str]] = {}
    renamed: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            names = set(reader.fieldnames or ())
            if "raw_score" not in names or not names & {"abnormal", "label"}:
                raise DecideError(
                    f"{path}: needs the columns raw_score and abnormal (or label), and has {sorted(names, key=str)}."
                )
            truth = "abnormal" if "abnormal" in names else "label"
            for row in reader:
                score, known = _finite(row["raw_score"]), _truth(row[truth], truth)
                for column, value in (("raw_score", score), (truth, known)):
                    if value is None:
                        wrong.setdefault(column, []).append(f"{reader.line_num} ('{row[column] or ''}')")
                if truth == "label" and known is False and row[truth] != _NORMAL:
                    renamed[row[truth]] = renamed.get(row[truth], 0) + 1
                scores.append(score)
                abnormal.append(known)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DecideError(f"{path}: cannot be read ({error}).") from error
    if wrong:
        raise DecideError(
            "\n".join(
                f"{path}: {column} {_EXPECTED[column]} in {len(found)} of {len(scores)} rows: line {some(found)}. "
                "Correct them, or take them out."
                for column, found in wrong.items()
            )
        )
    for label, number in renamed.items():
        logger.warning("%s: label '%s' (%d rows) taken for '%s'.", path, label, number, _NORMAL)
    return np.array(scores, dtype=np.float32), np.array(abnormal, dtype=bool)


def _finite(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _truth(cell: str | None, column: str) -> bool | None:
    if column == "abnormal":
        return _TRUTH.get((cell or "").strip().lower())
    return None if missing(cell) else among(cell, [_NORMAL]) is None


def _line(what: str, point: Mapping[str, Any] | None) -> str:
    if point is None:
        return f"{what}: none"
    value = point["value"]
    shown = ",".join(f"{name}={number:g}" for name, number in value.items()) if isinstance(value, dict) else value
    rule = point["rule"] if value is None else f"{point['rule']}:{shown}"
    return f"{what}: {rule}, threshold {point['threshold']:.6g}. {point['question']}"
