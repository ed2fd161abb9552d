"""Record a change of an operating point: before, after and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from medanomaly.decision.decision_function import summary
from medanomaly.decision.scores_csv import DecideError, read_scores
from medanomaly.metrics.formatting import rule_option

__all__ = ["LOG", "DecideError", "OperatingPointChange", "read_scores", "with_history"]

LOG = "decisions.jsonl"


@dataclass(frozen=True, kw_only=True)
class OperatingPointChange:
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
    def unchanged(self) -> bool:
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


def _line(what: str, point: Mapping[str, Any] | None) -> str:
    if point is None:
        return f"{what}: none"
    return f"{what}: {rule_option(point)}, threshold {point['threshold']:.6g}. {point['question']}"
