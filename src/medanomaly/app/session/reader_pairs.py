"""Agreement of each two readers on the images that both marked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from medanomaly.app.session.mark_store import Marks
from medanomaly.metrics.reader_agreement import kappa


@dataclass(frozen=True)
class Agreement:
    """Of two readers on the images that both marked.

    Args:
        readers: Their names.
        images: How many images.
        same: On how many their marks are the same.
        kappa: In [-1, 1]; None where it is not defined: without images, or with one mark throughout.
        interval: Both ends, within [-1, 1]; None likewise.
        apart: Images left out because the model's decision was another when the second marked.
    """

    readers: tuple[str, str]
    images: int
    same: int
    kappa: float | None
    interval: tuple[float, float] | None
    apart: int = 0


def agreements(marks: Marks) -> list[Agreement]:
    """Of each two readers, on the images that both marked; a note alone is no mark.

    A mark says whether the model's decision is right: images whose decision was another when the second reader marked,
    because the operating point was moved, are left out and counted.
    """
    names = sorted({reader for by in marks.values() for reader, mark in by.items() if mark.mark is not None})
    return [_agreement(marks, pair) for pair in combinations(names, 2)]


def _agreement(marks: Marks, readers: tuple[str, str]) -> Agreement:
    a, b = readers
    found = [(by[a], by[b]) for by in marks.values() if a in by and b in by]
    found = [(one, other) for one, other in found if one.mark is not None and other.mark is not None]
    pairs = [(str(one.mark), str(other.mark)) for one, other in found if one.decision == other.decision]
    value = kappa(pairs)
    same = sum(one == other for one, other in pairs)
    apart = len(found) - len(pairs)
    found_kappa, interval = value or (None, None)
    return Agreement(readers, len(pairs), same, found_kappa, interval, apart)
