"""Rows of the worklist: one an image, one for a whole video, most suspicious first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.mark_store import Mark
from medanomaly.app.session.worklist import Item

ALL, ABNORMAL, NORMAL, UNMARKED, FAILED = "all", "abnormal", "normal", "unmarked", "unreadable"
FILTERS = (ALL, ABNORMAL, NORMAL, UNMARKED, FAILED)
#: Rows shown at a time: a long list stays quick.
ROWS = 50


@dataclass(frozen=True)
class Row:
    """One line of the list.

    Args:
        item: The image; of a video its most suspicious frame.
        name: What the line is called: the image's, or the video's.
        score: In (0, 1), 0.5 at the operating point; None if it could not be scored.
        abnormal: The decision; for a video, whether any frame is flagged.
        mark: The reader's mark on it; of a video, on its most suspicious frame.
        marks: All his marks on it: one at most on an image, and one on each frame of a video.
        frames: Of a video, its scored frames in order; empty for an image.
        flagged: How many of these are flagged.
    """

    item: Item
    name: str
    score: float | None
    abnormal: bool
    mark: Mark | None
    frames: tuple[Item, ...] = ()
    flagged: int = 0
    marks: tuple[Mark, ...] = ()

    @property
    def id(self) -> int:
        """What the page calls the row: the number of its image, or of a video's first frame, whatever the scores."""
        return self.frames[0].number if self.frames else self.item.number

    @property
    def marked(self) -> bool:
        """Whether the reader has marked it; a note alone is no mark."""
        return any(mark.mark is not None for mark in self.marks)


@dataclass(frozen=True)
class Decision:
    """An image at an operating point.

    Args:
        ranking_score: The score that is compared with the threshold; minus infinity for what could not be scored.
        score: In (0, 1), 0.5 at the operating point; None for what could not be scored.
        abnormal: The decision.
    """

    ranking_score: float
    score: float | None
    abnormal: bool


_FAILED = Decision(float("-inf"), None, False)


def decisions(items: Sequence[Item], point: Point) -> dict[int, Decision]:
    """Images by their numbers, all at once: a video has tens of thousands."""
    scored = [item for item in items if item.raw_score is not None]
    raw = np.array([item.raw_score for item in scored], dtype=np.float32)
    decider = point.decider
    columns = (decider.ranking_score(raw).tolist(), decider.score(raw).tolist(), decider.abnormal(raw).tolist())
    found = {item.number: _FAILED for item in items if item.raw_score is None}
    found.update((item.number, Decision(*each)) for item, *each in zip(scored, *columns, strict=True))
    return found


def rows(items: Sequence[Item], point: Point, marks: Mapping[tuple[str, str], Mark]) -> list[Row]:
    """All rows, sorted: by ranking score, falling, then by the order of coming; what failed comes last."""
    known = decisions(items, point)
    made: list[Row] = []
    videos: dict[str, list[Item]] = {}

    def add(item: Item, name: str, frames: tuple[Item, ...] = (), flagged: int = 0) -> None:
        one = known[item.number]
        every = [marks.get((each.name, each.file.sha256)) for each in frames or (item,)]
        mark = marks.get((item.name, item.file.sha256))
        kept = tuple(each for each in every if each is not None)
        made.append(Row(item, name, one.score, one.abnormal, mark, frames, flagged, kept))

    for item in items:
        if item.frame is None:
            add(item, item.name)
        else:
            videos.setdefault(str(item.file.path), []).append(item)
    for frames in videos.values():
        first = max(frames, key=lambda frame: known[frame.number].ranking_score)
        add(first, first.file.name, tuple(frames), sum(known[frame.number].abnormal for frame in frames))
    return sorted(made, key=lambda row: (row.score is None, -known[row.item.number].ranking_score, row.item.number))


def chosen(all_rows: Sequence[Row], which: str) -> list[Row]:
    """The rows that pass a filter, one of FILTERS."""
    tests = {
        ALL: lambda row: True,  # noqa: ARG005
        ABNORMAL: lambda row: row.abnormal,
        NORMAL: lambda row: row.score is not None and not row.abnormal,
        UNMARKED: lambda row: row.score is not None and not row.marked,
        FAILED: lambda row: row.score is None,
    }
    return [row for row in all_rows if tests[which](row)]


def counts(all_rows: Sequence[Row]) -> dict[str, int]:
    """How many rows pass each filter."""
    return {which: len(chosen(all_rows, which)) for which in FILTERS}
