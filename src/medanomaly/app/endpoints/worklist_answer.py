"""Answer for the worklist: the order of all rows, the text of one page of them, and the scoring's progress."""

from __future__ import annotations

from collections import Counter
from typing import Any

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import own
from medanomaly.app.session.sessions import Session
from medanomaly.app.session.worklist_rows import ALL, FILTERS, ROWS, Row, chosen, counts, rows

SIGNS = {"agree": "✓ agree", "disagree": "✗ disagree", "unsure": "? unsure"}


def listing(
    session: Session,
    bundle: int,
    loaded: LoadedBundle,
    point: Point,
    reader: str | None,
    which: str,
    page: int,
    have: str,
) -> dict[str, Any]:
    """The list.

    Args:
        session: The session.
        bundle: Number of the bundle in use.
        loaded: That bundle.
        point: The operating point at work.
        reader: Whose marks are shown; None for nobody's.
        which: The filter, one of FILTERS.
        page: Of the rows, from 0; beyond the last it is the last.
        have: What ``state`` was when the list was last asked for with the same questions.

    Returns:
        ``busy``, ``done`` and ``known`` of the scoring; ``trouble``, why marks may be old; ``state``. Where that
        differs from ``have``: ``counts`` by filter, ``order`` of all rows that pass it, ``opens`` with the image that
        a row opens where that is another, ``marked`` rows, and ``rows`` of the page ``page`` with their words.
    """
    which = which if which in FILTERS else ALL
    work = session.worklist(bundle)
    busy = work.busy
    items = list(work.items)
    marks, trouble = session.sessions.marking.of_bundle(loaded.hash)
    done, known = work.progress
    state = f"{len(items)}-{session.sessions.marking.version}"
    answer: dict[str, Any] = {"busy": busy, "done": done, "known": known, "trouble": trouble, "state": state}
    if state == have:
        return answer
    every = rows(items, point, own(marks, reader))
    shown = chosen(every, which)
    pages = max(1, -(-len(shown) // ROWS))
    page = min(max(page, 0), pages - 1)
    return {
        **answer,
        "counts": counts(every),
        "order": [row.id for row in shown],
        "opens": {row.id: row.item.number for row in shown if row.frames},
        "marked": [row.id for row in shown if row.marked],
        "page": page,
        "size": ROWS,
        "rows": [line(row) for row in shown[page * ROWS : (page + 1) * ROWS]],
    }


def line(row: Row) -> dict[str, Any]:
    """A row in words."""
    if row.score is None:
        said = "unreadable"
    elif row.frames:
        said = f"▶ {row.flagged} of {len(row.frames)} frames flagged"
    else:
        said = f"{'▲ ' if row.abnormal else ''}{row.score:.3f} {'abnormal' if row.abnormal else 'normal'}"
    return {
        "id": row.id,
        "open": row.item.number,
        "name": row.name,
        "said": said,
        "mark": _marked(row),
        "title": row.item.error or row.name,
        "decision": "failed" if row.score is None else "abnormal" if row.abnormal else "normal",
    }


def _marked(row: Row) -> str:
    if not row.frames:
        return SIGNS.get((row.mark.mark if row.mark else None) or "", "note" if row.mark else "")
    found = Counter(mark.mark for mark in row.marks if mark.mark)
    if not found:
        return "note" if row.marks else ""
    several = "1 frame" if found.total() == 1 else f"{found.total()} frames"
    return f"{several}: " + ", ".join(f"{SIGNS[name]} {found[name]}" for name in SIGNS if found[name])
