"""Export marks and notes as CSV and JSON Lines, with the bundle's hash and the time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from medanomaly import __version__
from medanomaly.app.operating_curve import Point
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import Mark, Marks
from medanomaly.app.session.reader_pairs import Agreement
from medanomaly.app.session.worklist import Item
from medanomaly.metrics.reader_agreement import METHOD

COLUMNS = (
    "name", "sha256", "raw_score", "score", "decision", "p_value", "threshold", "point", "reader", "mark", "note",
    "decision_when_marked", "threshold_when_marked", "marked_at", "error", "bundle", "bundle_sha256", "exported_at",
    "medanomaly",
)  # fmt: skip
AGREEMENT = (
    "reader_1", "reader_2", "images", "same", "kappa", "kappa_low", "kappa_high", "left_out", "bundle_sha256", "method",
)  # fmt: skip


def records(
    items: Iterable[Item], loaded: LoadedBundle, point: Point, marks: Marks, reader: str | None = ""
) -> list[dict[str, Any]]:
    """One record for each image of the session, marked or not, failed or not; and one for each further reader's mark.

    Args:
        items: The session's images.
        loaded: The bundle in use.
        point: The operating point at work.
        marks: Those that the reader may see; see :func:`medanomaly.app.session.mark_store.seen_by`.
        reader: Who exports; his record of an image comes first. None before it is known who reads.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found = []
    for item in items:
        by = marks.get((item.name, item.file.sha256)) or {}
        for name in [reader, *(other for other in sorted(by) if other != reader)]:
            found.append(_record(item, loaded, point, name or "", None if name is None else by.get(name), now))
    return found


def _record(item: Item, loaded: LoadedBundle, point: Point, reader: str, mark: Mark | None, now: str) -> dict[str, Any]:
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
        "reader": reader if mark else "",
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


def agreement_records(found: Iterable[Agreement], loaded: LoadedBundle) -> list[dict[str, Any]]:
    """One record for each two readers."""
    return [
        {
            "reader_1": one.readers[0],
            "reader_2": one.readers[1],
            "images": one.images,
            "same": one.same,
            "kappa": one.kappa,
            "kappa_low": one.interval[0] if one.interval else None,
            "kappa_high": one.interval[1] if one.interval else None,
            "left_out": one.apart,
            "bundle_sha256": loaded.hash,
            "method": METHOD,
        }
        for one in found
    ]


def agreement_csv(found: Sequence[Agreement], loaded: LoadedBundle, reader: str | None) -> bytes:
    """The agreement as CSV; where there is none, one sentence that says why.

    Args:
        found: Of each two readers.
        loaded: The bundle in use.
        reader: Who exports; None before it is known who reads.
    """
    if found:
        return as_csv(agreement_records(found, loaded), AGREEMENT)
    why = "Say who reads first." if reader is None else "No other reader has marked an image that you have marked."
    return f"No agreement yet. {why}\r\n".encode("utf-8-sig")


def as_lines(found: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON Lines, UTF-8."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found).encode()


def as_csv(found: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> bytes:
    """CSV with a heading, UTF-8 with the mark that spreadsheets look for; what is missing is empty.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for record in found:
        writer.writerow([_cell(record[name]) for name in columns])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
