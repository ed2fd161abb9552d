"""Draw the report's histogram as inline SVG; shared parts of all charts."""

from __future__ import annotations

import hashlib
import html
import io
import re
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from medanomaly import palette

INK = "#1b2733"
FAINT = "#6b7885"

SIZE = (4.7, 3.75)  #: inches of a chart
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.linewidth": 0.8,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("xtick.color", "ytick.color"), FAINT),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
    "hatch.linewidth": 0.9,
    "legend.frameon": False,
    "legend.fontsize": 9.2,
    "text.color": INK,
    "text.parse_math": False,
}


def style(salt: str) -> Any:
    """Settings of matplotlib for one chart; ``salt`` sets its ids apart."""
    return _STYLE | {"svg.hashsalt": salt}


def inline(figure: Figure, title: str) -> str:
    """An SVG element without prolog, fixed size or style sheet, its ids unlike those of any other chart."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    prefix = "chart-" + hashlib.sha256((title + text).encode()).hexdigest()[:10]
    text = re.sub(r"<style type=.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'font-family: [^;"]*', "font-family: system-ui, sans-serif", text)
    text = text.replace("xlink:href=", "href=")
    names = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in names else "", text)
    text = re.sub(r'((?:href="|url\()#)', rf"\g<1>{prefix}-", text)
    box = re.search(r'viewBox="[^"]*"', text)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box[0] if box else ""} role="img" stroke-linejoin="round" '
        f'aria-labelledby="{prefix}-title"><title id="{prefix}-title">{html.escape(title)}</title>'
    )
    return head + text[text.index(">") + 1 :].strip()


def clean(scores: np.ndarray, abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Finite scores (m,) float64, their truth (m,) bool, and how many were left out because they are not finite."""
    values = np.asarray(scores, dtype=np.float64).ravel()
    truth = np.asarray(abnormal, dtype=bool).ravel()
    if values.shape != truth.shape:
        raise ValueError(f"{values.size} scores but {truth.size} truths")
    kept = np.isfinite(values)
    return values[kept], truth[kept], int((~kept).sum())


def _edges(low: float, high: float, count: int, anchor: float | None) -> np.ndarray:
    """Bin edges (k,) that cover [low, high]; ``anchor`` falls on an edge, so no bar straddles the threshold."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        pad = max(abs(low) * 0.05, 1e-9)
        low, high = low - pad, high + pad
    width = (high - low) / count
    start = low if anchor is None else anchor - np.ceil((anchor - low) / width - 1e-9) * width
    return start + width * np.arange(int(np.ceil((high - start) / width - 1e-9)) + 1)


def _axis_range(values: np.ndarray, threshold: float | None) -> tuple[float, float, bool]:
    """Lowest and highest score to draw and whether the axis is logarithmic (positive scores over > 2 decades)."""
    shown = np.append(values, [] if threshold is None else threshold)
    positive = shown[shown > 0]
    drawable = positive.size and (shown <= 0).mean() <= 0.05 and (threshold is None or threshold > 0)
    if drawable and positive.max() / positive.min() > 100:
        low = max(positive.min(), positive.max() * 1e-6)
        return float(low if threshold is None else min(low, threshold)), float(positive.max()), True
    return float(shown.min()), float(shown.max()), False


def score_histogram(scores: np.ndarray, abnormal: np.ndarray, threshold: float | None, name: str = "raw score") -> str:
    """Histogram of raw scores, each class as a share of itself, on shared bins.

    Args:
        scores: (n,) float, raw scores in any unit. Scores that are not finite are left out, and the axis says so.
        abnormal: (n,) bool, the truth.
        threshold: the operating point in the unit of the scores; None where there is none.
        name: what the scores are, for the x axis.

    Returns:
        An SVG element as text. The x axis is logarithmic where the positive scores span more than two decades; scores
        below its range (zero, negative) then count in the first bar, and the axis says so.
    """
    values, truth, dropped = clean(scores, abnormal)
    limit = float(threshold) if threshold is not None and np.isfinite(threshold) else None
    with rc_context(style("score-histogram")):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        if not values.size:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "no finite score to draw", ha="center", transform=axes.transAxes)
            return inline(figure, "Histogram of scores: nothing to draw")
        low, high, logarithmic = _axis_range(values, limit)
        scale = np.log10 if logarithmic else np.asarray
        bins = int(np.clip(2 * np.sqrt(values.size), 8, 36))
        edges = _edges(float(scale(low)), float(scale(high)), bins, None if limit is None else float(scale(limit)))
        placed = np.clip(scale(np.clip(values, low, None)), edges[0], edges[-1])
        positions = 10.0**edges if logarithmic else edges
        classes = (("normal", ~truth, palette.NORMAL, None), ("abnormal", truth, palette.ABNORMAL, "////"))
        for kind, member, colour, hatch in classes:
            if member.any():
                share = 100 * np.histogram(placed[member], edges)[0] / member.sum()
                legend = f"{kind} ({member.sum()})"
                axes.stairs(share, positions, fill=True, facecolor=colour, edgecolor="white", linewidth=0, alpha=0.36,
                            hatch=hatch, label=legend)  # fmt: skip
                axes.stairs(share, positions, color=colour, linewidth=1.5)
        label = name
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            below = int((values < low).sum())
            label += ", logarithmic" + (f" ({below} below {low:.2g} in the first bar)" if below else "")
        if limit is not None:
            axes.axvline(limit, color=INK, linewidth=1.4, linestyle=(0, (5, 2)), label="operating point")
        axes.set_xlim(positions[0], positions[-1])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.4g}"))
        axes.set_ylim(bottom=0)
        if not logarithmic:
            axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(label + (f"; {dropped} not finite, left out" if dropped else ""))
        axes.set_ylabel("share of the class, %")
        figure.legend(loc="outside upper center", ncols=3, handlelength=1.4, columnspacing=1.2, borderaxespad=0.1)
        return inline(figure, "Histogram of raw scores of normal and abnormal images, with the operating point")
