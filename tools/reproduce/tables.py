"""The one table writer: Markdown for people, JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

DASH = "–"


@dataclass(frozen=True)
class Missing:
    """A figure that was not measured, with the reason; it is printed and never filled in."""

    reason: str

    def __str__(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval where it has one.

    Args:
        value: The value; None where it is undefined.
        low, high: Ends of the interval; None where there is none.
        percent: Whether it is printed as a percentage.
        digits: Decimals of a value that is no percentage.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    percent: bool = False
    digits: int = 3

    @classmethod
    def of(cls, record: Mapping[str, Any] | float | None, percent: bool = False, digits: int = 3) -> Figure:
        """From a record of the evidence, ``{"value": …, "low": …, "high": …}``, or a bare number."""
        if not isinstance(record, Mapping):
            return cls(record, percent=percent, digits=digits)
        return cls(record.get("value"), record.get("low"), record.get("high"), percent, digits)

    def __str__(self) -> str:
        """``0.771 (0.737 to 0.802)`` or ``96.2 % (94.1 to 97.6)``; ``undefined`` without a value."""
        if self.value is None or math.isnan(self.value):
            return "undefined"
        unit = " %" if self.percent else ""
        span = "" if self.low is None or self.high is None else f" ({self._text(self.low)} to {self._text(self.high)})"
        return f"{self._text(self.value)}{unit}{span}"

    def _text(self, value: float) -> str:
        return f"{100 * value:.1f}" if self.percent else f"{value:.{self.digits}f}"

    def holds(self, value: float | None) -> bool | None:
        """Whether the interval holds a value; None where there is no interval or no value."""
        if self.low is None or self.high is None or value is None:
            return None
        return self.low <= value <= self.high


Value: TypeAlias = "str | int | float | Figure | Missing | None"


@dataclass(frozen=True)
class Table:
    """A table of figures.

    Args:
        title: What stands above it.
        heads: Heads of the columns.
        rows: One tuple a row.
        note: What a reader must know, below it.

    Raises:
        ValueError: if a row has another number of columns than there are heads.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Value]]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that rows fit the heads."""
        for row in self.rows:
            if len(row) != len(self.heads):
                raise ValueError(f"{self.title}: row {row[0]} has {len(row)} columns, the table {len(self.heads)}")

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [f"**{self.title}**", "", _line(self.heads), "|---" * len(self.heads) + "|"]
        lines += [_line(_once(row)) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def record(self) -> dict[str, Any]:
        """The table as plain JSON values; what was not measured is ``{"missing": reason}``."""
        return {
            "title": self.title,
            "columns": list(self.heads),
            "rows": [[_plain(value) for value in row] for row in self.rows],
            "note": self.note,
        }


def shown(value: Value) -> str:
    """A value as Markdown cells hold it."""
    if value is None:
        return DASH
    return (f"{value:g}" if isinstance(value, float) else str(value)).replace("|", "\\|")


def _once(row: Sequence[Value]) -> list[str]:
    """A row's cells; the reason why its figures are missing stands in the first of them alone."""
    said: set[str] = set()
    cells = []
    for value in row:
        repeated = isinstance(value, Missing) and value.reason in said
        cells.append(DASH if repeated else shown(value))
        if isinstance(value, Missing):
            said.add(value.reason)
    return cells


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(value: Value) -> Any:
    if isinstance(value, Missing):
        return {"missing": value.reason}
    if isinstance(value, Figure):
        return {key: item for key, item in asdict(value).items() if key in ("value", "low", "high", "percent")}
    return value
