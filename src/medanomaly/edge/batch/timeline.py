"""Write a video's scores over time: a table and a small chart, without further libraries."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from medanomaly import palette
from medanomaly.edge.batch.output_errors import write_file, writing

COLUMNS = ("frame", "time", "raw_score", "score", "decision", "status")

#: Of the chart, in pixels: its width and height, and the plot's left, top, right and bottom.
_WIDTH, _HEIGHT = 800, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 48, 28, 788, 188


_FRAME = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Row:
    """One frame of a video: its number from 1, its time in seconds, and its record."""

    frame: int
    time: float
    record: dict[str, Any]


def row_of(record: dict[str, Any]) -> tuple[str, Row] | None:
    """The video and the row of a record; None if it is not of a video's frame."""
    video, _, number = str(record["input"]).rpartition("#frame=")
    if "time" not in record or not _FRAME.fullmatch(number):
        return None
    kept = {key: record.get(key) for key in COLUMNS if key in record}
    return video, Row(int(number), float(record["time"]), kept)


def table(rows: Sequence[Row]) -> str:
    """The rows as CSV, sorted by frame; a failed frame has no score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: row.frame):
        values = [row.record.get(name, "") for name in COLUMNS[2:]]
        writer.writerow([row.frame, f"{row.time:.3f}", *values])
    return text.getvalue()


def chart(rows: Sequence[Row], title: str) -> str:
    """The scores over time as an SVG of bounded size: of frames that share a column the lowest and highest are drawn.

    The dashed line is the operating point, 0.5; what is flagged is dotted, and failed frames leave a gap.
    """
    rows = sorted(rows, key=lambda row: row.frame)
    end = max((row.time for row in rows), default=0.0) or 1.0
    columns: dict[int, list[Row]] = {}
    for row in rows:
        columns.setdefault(round(_LEFT + (_RIGHT - _LEFT) * row.time / end), []).append(row)
    runs: list[list[str]] = [[]]
    dots = []
    for x in sorted(columns):
        scores = [row.record["score"] for row in columns[x] if row.record.get("score") is not None]
        if not scores:
            runs.append([])
            continue
        runs[-1] += [f"{x},{_y(score):.1f}" for score in dict.fromkeys((min(scores), max(scores)))]
        flagged = [row.record["score"] for row in columns[x] if row.record.get("decision") == "abnormal"]
        if flagged:
            dots.append(f'<circle cx="{x}" cy="{_y(max(flagged)):.1f}" r="2"/>')
    # A run of one point would be drawn as nothing.
    lines = "".join(f'<polyline points="{" ".join(run * (3 - min(len(run), 2)))}"/>' for run in runs if run)
    number = sum(row.record.get("decision") == "abnormal" for row in rows)
    said = f"{title}: {number} of {len(rows)} frames flagged"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(said)}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="18">{escape(said)}</text>'
        f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="#444"/>'
        f'<path d="M{_LEFT} {_y(0.5)}H{_RIGHT}" stroke="#444" stroke-dasharray="4 4"/>'
        + "".join(f'<text x="{_LEFT - 6}" y="{_y(v) + 4}" text-anchor="end">{v:g}</text>' for v in (0, 0.5, 1))
        + "".join(_tick(end * quarter / 4, end) for quarter in range(5))
        + f'<g fill="none" stroke="{palette.NORMAL}" stroke-linejoin="round">{lines}</g>'
        f'<g fill="{palette.ABNORMAL}">{"".join(dots)}</g></svg>\n'
    )


def write(folder: Path, name: str, video: str, rows: Sequence[Row]) -> None:
    """Write ``NAME.csv`` and ``NAME.svg`` into a folder, which is made if it is missing.

    Raises:
        OutputError: if they cannot be written.
    """
    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_file(folder / f"{name}.csv", table(rows).encode())
    shown = Path(video).name.encode(errors="replace").decode()
    write_file(folder / f"{name}.svg", chart(rows, shown).encode())


def _y(score: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * score, 1)


def _tick(seconds: float, end: float) -> str:
    x = _LEFT + (_RIGHT - _LEFT) * seconds / end
    minutes, rest = divmod(round(seconds), 60)
    clock = f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    label = f"{seconds:.1f} s" if end < 60 else clock
    anchor = "end" if seconds == end else "middle" if seconds else "start"
    return f'<text x="{x:.0f}" y="{_BOTTOM + 16}" text-anchor="{anchor}">{label}</text>'
