"""Marks and notes as files for others: CSV and JSON Lines, with the bundle's hash and the time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from medanomaly import __version__
from medanomaly.app.desk import Loaded
from medanomaly.app.operating import Point
from medanomaly.app.store import Mark
from medanomaly.app.worklist import Item

COLUMNS = (
    "name", "sha256", "raw_score", "score", "decision", "p_value", "threshold", "point", "mark", "note",
    "decision_when_marked", "threshold_when_marked", "marked_at", "error", "bundle", "bundle_sha256", "exported_at",
    "medanomaly",
)  # fmt: skip


def records(
    items: Iterable[Item], loaded: Loaded, point: Point, marks: Mapping[tuple[str, str], Mark]
) -> list[dict[str, Any]]:
    """One record for each image of the session, marked or not, failed or not."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return [_record(item, loaded, point, marks.get((item.name, item.file.sha256)), now) for item in items]


def _record(item: Item, loaded: Loaded, point: Point, mark: Mark | None, now: str) -> dict[str, Any]:
    raw = item.raw_score
    scored = raw is not None
    return {
        "name": item.name,
        "sha256": item.file.sha256,
        "raw_score": raw,
        "score": float(point.decider.score(raw)) if scored else None,
        "decision": ("abnormal" if point.decider.abnormal(raw) else "normal") if scored else None,
        "p_value": loaded.p_value(raw) if raw is not None else None,
        "threshold": float(point.decider.threshold),
        "point": "moved" if point.moved else "validated",
        "mark": mark.mark if mark else None,
        "note": mark.note if mark else "",
        "decision_when_marked": mark.decision if mark else None,
        "threshold_when_marked": mark.threshold if mark else None,
        "marked_at": mark.time if mark else None,
        "error": item.error,
        "bundle": loaded.name,
        "bundle_sha256": loaded.hash,
        "exported_at": now,
        "medanomaly": __version__,
    }


def as_lines(found: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON Lines, UTF-8."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found).encode()


def as_csv(found: Iterable[Mapping[str, Any]]) -> bytes:
    """CSV with a heading, UTF-8 with the mark that spreadsheets look for; what is missing is empty.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for record in found:
        writer.writerow([_cell(record[name]) for name in COLUMNS])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
