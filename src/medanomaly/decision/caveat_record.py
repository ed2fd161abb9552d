"""Helpers for the text of caveats and checks: a record, a figure with its interval, a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from medanomaly.decision.rules import RULES
from medanomaly.metrics.formatting import LEVEL, with_span

#: A check as the page shows it: state, sentences, facts.
Told = tuple[str, str, list[tuple[str, str]]]


def warning(title: str, text: str) -> dict[str, str]:
    """A caveat that comes first."""
    return {"severity": "warning", "title": title, "text": text}


def note(title: str, text: str) -> dict[str, str]:
    """A caveat that comes after the warnings."""
    return {"severity": "note", "title": title, "text": text}


def found(
    evidence: dict[str, Any], caveats: Iterable[Callable[[dict[str, Any]], dict[str, str] | None]]
) -> list[dict[str, str]]:
    """Those of the caveats that the evidence gives cause for, warnings first."""
    given = [caveat for of in caveats if (caveat := of(evidence)) is not None]
    return sorted(given, key=lambda caveat: caveat["severity"] != "warning")


def made(evidence: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A check's record; None if it was not made."""
    check = (evidence.get("checks") or {}).get(name)
    return check if isinstance(check, Mapping) and set(check) != {"reason"} else None


def figure(record: Mapping[str, Any], sign: bool = False) -> str:
    """A value with its 95 % interval where it has one; ``sign`` for differences."""
    return with_span(record, "signed" if sign else "number", " to ", LEVEL)


def fitted_on(point: Mapping[str, Any]) -> str:
    """The images that chose an operating point's threshold, "211 normal images"; "" where none did, or none is known.

    ``fitted_on`` counts all validation images; most rules look at normal ones alone.
    """
    counts = point.get("fitted_on") or {}
    kinds = RULES[point["rule"]].uses if point.get("rule") in RULES else tuple(counts)
    shown = [f"{counts[kind]} {kind}" for kind in kinds if kind in counts]
    return f"{listed(shown)} images" if shown else ""


def listed(names: Sequence[str]) -> str:
    """Names as "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def ends(record: Any) -> tuple[float | None, float | None]:
    """The ends of a figure's interval; None where it has none, or there is no figure."""
    record = record or {}
    return record.get("low"), record.get("high")
