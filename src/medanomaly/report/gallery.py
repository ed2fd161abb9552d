"""Choose the test images to show: worst false alarms, worst misses, best hits, nearest to the threshold."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import Any

from medanomaly.report.pictures import KINDS, Case


def kinds_of(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    """A row's kinds of case, each with how much it deserves to be shown.

    Any image may be borderline, whatever its truth and decision; a miss that is nearly a hit is both.

    Args:
        row: Of the predictions: ``abnormal``, ``decision``, ``raw_score``, ``score`` in (0, 1) with 0.5 at the
            operating point, and for a two-sided rule ``distance``. All but the first may be missing.

    Returns:
        Kinds and ranks; none for a row whose score is not finite.
    """
    score = row.get("score")
    deciding = row.get("distance", row.get("raw_score", score))
    if deciding is None or not math.isfinite(deciding):
        return []
    deciding = float(deciding)
    found = [] if score is None else [("borderline", -abs(float(score) - 0.5))]
    if "decision" not in row:
        return found
    if row["abnormal"] and row["decision"]:
        found.append(("hit", deciding))
    elif row["decision"]:
        found.append(("false alarm", deciding))
    elif row["abnormal"]:
        found.append(("miss", -deciding))
    return found


class Gallery:
    """Keeps the pictures of the images that deserve it most, as batches pass by.

    Args:
        cases: Pictures of each kind.
    """

    def __init__(self, cases: int) -> None:
        self.number = cases
        self._heaps: dict[str, list[tuple[float, int, Case]]] = {kind: [] for kind in KINDS}

    def offer(self, batch: Any, i: int, row: Mapping[str, Any], number: int) -> None:
        """Show the ``i``-th image of a batch if it deserves it.

        Args:
            batch: With ``image``, and ``anomaly_map`` in (0, 1) and ``gt_mask`` where there are any.
            i: Its place in the batch.
            row: Its row of the predictions.
            number: That row's number.
        """
        wanted = [(kind, rank) for kind, rank in kinds_of(row) if self._deserves(kind, rank)]
        if not wanted:
            return
        pictures = {
            "image": batch.image[i].permute(1, 2, 0).cpu().float().numpy().copy(),
            "heat": None if batch.anomaly_map is None else batch.anomaly_map[i].cpu().float().numpy().copy(),
            "mask": None if batch.gt_mask is None else batch.gt_mask[i].cpu().numpy().astype(bool).copy(),
        }
        for kind, rank in wanted:
            case = Case(
                kind=kind,
                path=row["path"],
                label="",
                raw_score=float(row["raw_score"]) if "raw_score" in row else None,
                score=float(row["score"]) if "score" in row else None,
                decision=bool(row["decision"]) if "decision" in row else None,
                **pictures,
            )
            # The number breaks ties, so that cases themselves are never compared and repeats give the same pictures.
            heapq.heappush(self._heaps[kind], (rank, -number, case))
            if len(self._heaps[kind]) > self.number:
                heapq.heappop(self._heaps[kind])

    def _deserves(self, kind: str, rank: float) -> bool:
        heap = self._heaps[kind]
        return len(heap) < self.number or (self.number > 0 and heap[0][0] < rank)

    def shown(self, labels: Mapping[str, str]) -> list[Case]:
        """The cases by kind, those that deserve it most first, with the class of each path."""
        return [
            Case(**{**vars(case), "label": labels[case.path]})
            for heap in self._heaps.values()
            for _, _, case in sorted(heap, key=lambda entry: (-entry[0], -entry[1]))
        ]


def chosen(rows: list[dict[str, Any]], cases: int) -> list[int]:
    """Numbers of the rows whose pictures a gallery would show, rising."""
    by_kind: dict[str, list[tuple[float, int]]] = {}
    for number, row in enumerate(rows):
        for kind, rank in kinds_of(row):
            by_kind.setdefault(kind, []).append((-rank, number))
    return sorted({number for ranks in by_kind.values() for _, number in sorted(ranks)[:cases]})
