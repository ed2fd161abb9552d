"""A video's part of the viewer: its scores over time, and its suspicious segments."""

from __future__ import annotations

from typing import Any

import streamlit as st

from medanomaly.app.components import mount
from medanomaly.app.operating import Point
from medanomaly.app.rows import Row
from medanomaly.app.segments import Segment, clock, segments, thinned
from medanomaly.app.state import Page
from medanomaly.app.worklist import Item

#: So many segments are listed; the most suspicious ones.
_LISTED = 12


def show_video(page: Page, row: Row, item: Item) -> None:
    """Show the timeline and the segments; a click on either jumps there."""
    point = page.point
    found = segments(row.frames, point)
    picked = mount("timeline", "timeline", timeline(row, item, point, found))
    failed = sum(frame.raw_score is None for frame in row.frames)
    lost = f"; {failed} frames could not be read" if failed else ""
    several = "1 suspicious segment" if len(found) == 1 else f"{len(found)} suspicious segments"
    st.caption(
        f"{several}, {row.flagged} of {len(row.frames)} frames flagged{lost}. "
        f"Shown: frame {item.frame} at {clock(item.time)}."
    )
    listed = sorted(found, key=lambda one: -float(point.decider.deciding(one.peak.raw_score)))[:_LISTED]
    with st.container(horizontal=True, gap="small"):
        for one in sorted(listed, key=lambda one: one.first.frame or 0):
            if st.button(_text(one), key=f"segment-{one.peak.number}", wrap=False):
                picked = one.peak.number
    if picked is not None and picked != item.number:
        page.state.selected = picked
        st.rerun()


def _text(one: Segment) -> str:
    span = clock(one.first.time) if one.first is one.last else f"{clock(one.first.time)}–{clock(one.last.time)}"
    return f"{span} · {one.flagged} {'frame' if one.flagged == 1 else 'frames'}"


def timeline(row: Row, item: Item, point: Point, found: list[Segment]) -> dict[str, Any]:
    """A video's scores for the browser."""
    end = max((frame.time or 0.0 for frame in row.frames), default=0.0)
    points = [
        [
            frame.number,
            frame.time or 0.0,
            round(float(point.decider.score(frame.raw_score)), 4),
            bool(point.decider.abnormal(frame.raw_score)),
        ]
        for frame in thinned(row.frames, point)
    ]
    return {
        "points": points,
        "segments": [[one.first.time or 0.0, one.last.time or 0.0] for one in found],
        "end": end,
        "now": item.time,
        "ticks": [[end * quarter / 4, clock(end * quarter / 4)] for quarter in range(5)],
        "alt": f"Scores over {clock(end)}: {row.flagged} of {len(row.frames)} frames flagged",
    }
