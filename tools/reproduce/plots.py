"""Plots: claims against measured figures with their intervals. No image of any data set is ever drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from tools.reproduce.tables import Figure, Missing

MEASURED, CLAIMED = "#0072b2", "#d55e00"


@dataclass(frozen=True)
class Point:
    """One line of a plot.

    Args:
        label: What it is.
        measured: Our figure, or why there is none.
        claim: The system's figure, where it has one.
    """

    label: str
    measured: Figure | Missing
    claim: float | None = None


def canvas(width: float, height: float) -> Canvas:
    """A figure that needs no display and no global state."""
    figure = Canvas(figsize=(width, height), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Canvas, path: Path) -> None:
    """Write a PNG that is the same for the same figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def claims(points: Sequence[Point], title: str, path: Path) -> None:
    """Draw claims and measured figures, one line each, from 0 to 1."""
    figure = canvas(9, 1.3 + 0.32 * len(points))
    axes = figure.subplots()
    for place, point in enumerate(points):
        found = point.measured
        if isinstance(found, Missing) or found.value is None:
            axes.text(0.01, place, str(found), va="center", fontsize=8, color="grey")
        else:
            low = found.value if found.low is None else found.low
            high = found.value if found.high is None else found.high
            axes.plot([low, high], [place, place], color=MEASURED, lw=2)
            axes.plot(found.value, place, "o", color=MEASURED, ms=5)
        if point.claim is not None:
            axes.plot(point.claim, place, "D", mfc="none", mec=CLAIMED, ms=7)
    axes.plot([], [], "o-", color=MEASURED, label="measured, 95 % interval")
    axes.plot([], [], "D", mfc="none", mec=CLAIMED, ls="none", label="claimed")
    axes.set_yticks(range(len(points)), [point.label for point in points], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    save(figure, path)
