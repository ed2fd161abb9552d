"""Suspicious segments of a video, and its scores as a line short enough to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.worklist import Item
from medanomaly.app.session.worklist_rows import decisions

#: Flagged frames are one segment while at most this number of seconds lies between them.
GAP = 2.0


@dataclass(frozen=True)
class Segment:
    """A stretch of a video with flagged frames.

    Args:
        first: Its first flagged frame.
        last: Its last one.
        peak: The most suspicious one.
        flagged: How many frames are flagged in it.
    """

    first: Item
    last: Item
    peak: Item
    flagged: int


def segments(frames: Sequence[Item], point: Point, gap: float = GAP) -> list[Segment]:
    """The suspicious segments of a video's frames, in the order of time."""
    known = decisions(frames, point)
    runs: list[list[Item]] = []
    for frame in sorted(frames, key=lambda frame: frame.frame or 0):
        if not known[frame.number].abnormal:
            continue
        if runs and (frame.time or 0.0) - (runs[-1][-1].time or 0.0) <= gap:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return [
        Segment(run[0], run[-1], max(run, key=lambda frame: known[frame.number].ranking_score), len(run))
        for run in runs
    ]


def thinned(frames: Sequence[Item], point: Point, columns: int = 400) -> list[Item]:
    """Frames to draw: of those that share a column of time the lowest and the highest, in the order of time."""
    known = decisions(frames, point)
    scored = [frame for frame in sorted(frames, key=lambda frame: frame.frame or 0) if frame.raw_score is not None]
    if len(scored) <= 2 * columns:
        return scored
    size = len(scored) / columns
    kept: dict[int, Item] = {}
    for column in range(columns):
        part = scored[round(column * size) : round((column + 1) * size)]
        for pick in (min, max):
            one = pick(part, key=lambda frame: known[frame.number].ranking_score)
            kept[one.number] = one
    return [kept[number] for number in sorted(kept)]


def clock(seconds: float | None) -> str:
    """A time as h:mm:ss.s, or m:ss.s below an hour."""
    tenths = round((seconds or 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
