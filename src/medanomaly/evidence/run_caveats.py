"""Caveats of the run itself, in words: what failed after its test, and scores that cannot be ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medanomaly.decision.caveat_record import warning
from medanomaly.evidence.stages import kind

FAILED = "Parts of this evidence are missing"


def failed(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Stages of the test's evaluation that failed."""
    return of_failures(evidence["failed"]) if evidence.get("failed") else None


def with_failures(evidence: dict[str, Any]) -> dict[str, Any]:
    """The evidence, its caveats begun with what failed so far; caveats are changed in place."""
    caveat = failed(evidence)
    others = [one for one in evidence["caveats"] if one["title"] != FAILED]
    evidence["caveats"] = others if caveat is None else [caveat, *others]
    return evidence


def of_failures(entries: Sequence[Mapping[str, Any]], whole: bool = False) -> dict[str, str]:
    """The caveat about failed stages.

    Args:
        entries: ``evidence["failed"]``, at least one.
        whole: Give the messages of errors and where tracebacks are, too; they may name images, and the caveats of a run
            reach the card of its bundle.
    """
    names = [f"{entry['stage']} ({entry['error'] if whole else kind(entry)}{_kept(entry, whole)})" for entry in entries]
    return warning(
        FAILED,
        f"The model was tested, and then this failed: {'; '.join(names)}. What depends on it is undefined or "
        "left out; all other figures stand.",
    )


def _kept(entry: Mapping[str, Any], whole: bool) -> str:
    return f"; traceback in {entry['traceback']}" if whole and entry.get("traceback") else ""


def unranked(evidence: Mapping[str, Any]) -> dict[str, str] | None:
    """Raw scores are not known."""
    reason = evidence.get("unranked")
    if not reason:
        return None
    return warning(
        "Raw scores are not known",
        f"{reason[:1].upper()}{reason[1:]}. Mapped scores may be clamped, which ties many of them: so every "
        "figure of ranks, such as AUROC, is undefined, and predictions.csv has no raw_score. Give the model a "
        "medanomaly OperatingPoint as its post_processor, and test again.",
    )
