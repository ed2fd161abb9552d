"""Answers of a run to the items of a reporting checklist under "Results", one function an item.

Each takes the completed evidence record and returns a sentence or two, or None where it does not know.
"""

from __future__ import annotations

from typing import Any

from medanomaly.metrics.formatting import percent, with_span
from medanomaly.report.checklist_answers import Evidence, missing, partitions


def included(evidence: Evidence) -> str | None:
    """Images by split, and those left out."""
    shown = partitions(evidence)
    return f"{shown} {missing(evidence)}" if shown else None


def features(evidence: Evidence) -> str | None:
    """Columns of subgroups."""
    columns = [str(row["column"]) for row in _columns(evidence)]
    return f"Known of the test images: {', '.join(columns)}; see “Subgroups”." if columns else None


def classes(evidence: Evidence) -> str | None:
    """Classes of the test split."""
    rows = [row for row in evidence["data"]["counts"] if row["split"] == "test"]
    return "Test classes: " + ", ".join(f"{row['label']} {row['images']}" for row in rows) + "." if rows else None


def prevalence(evidence: Evidence) -> str | None:
    """Share of abnormal test images."""
    share = evidence["image"]["prevalence"]
    return f"{percent(share, 1)} of the test images are abnormal." if share else None


def table(evidence: Evidence) -> str | None:
    """The 2 × 2 table."""
    counts = evidence["image"]["confusion"]
    if counts is None:
        return None
    return (
        f"{counts['true_positive']} hits, {counts['false_negative']} misses, {counts['false_positive']} false alarms, "
        f"{counts['true_negative']} rightly passed."
    )


def ranking(evidence: Evidence) -> str | None:
    """AUROC and average precision."""
    image = evidence["image"]
    return f"AUROC {with_span(image['auroc'])}, average precision {with_span(image['average_precision'])}."


def accuracy(evidence: Evidence) -> str | None:
    """Sensitivity and specificity."""
    image = evidence["image"]
    shown = [f"{name} {with_span(image[name], 'percent')}" for name in ("sensitivity", "specificity")]
    return f"At the operating point: {', '.join(shown)}."


def failures(evidence: Evidence) -> str | None:
    """Where to look for wrong decisions."""
    counts = evidence["image"]["confusion"]
    if counts is None:
        return None
    by = " Figures by subgroup are under “Subgroups”." if _columns(evidence) else ""
    return (
        f"{counts['false_negative']} misses and {counts['false_positive']} false alarms; the worst are pictured under "
        f"“Cases”, all are in predictions.csv.{by}"
    )


def _columns(evidence: Evidence) -> list[Any]:
    return (evidence["checks"].get("subgroups") or {}).get("columns") or []
