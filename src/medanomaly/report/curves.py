"""Draw the report's curves as inline SVG: ROC, precision and recall, calibration, FROC, ROC of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medanomaly import palette
from medanomaly.report.charts import FAINT, SIZE, clean, inline, style

#: Okabe and Ito's colours in an order that keeps neighbours apart, each with a dash of its own for grey print.
RUN_STYLES = (
    (palette.BLUE, "-"),
    (palette.VERMILION, (0, (6, 2))),
    (palette.GREEN, (0, (2, 1.5))),
    (palette.PURPLE, (0, (7, 2, 1.5, 2))),
    (palette.SKY_BLUE, (0, (4, 1, 1, 1, 1, 1))),
    (palette.ORANGE, (0, (1, 1))),
)
_FINEST = 2000  # corners of a curve beyond which thousandths are drawn instead


def roc(scores: np.ndarray, abnormal: np.ndarray, threshold: float | None, auroc_text: str) -> str | None:
    """ROC curve with the operating point marked; an image is flagged when its score is above the threshold.

    Args:
        scores: (n,) float, raw scores. Scores that are not finite are left out.
        abnormal: (n,) bool, the truth.
        threshold: the operating point in the unit of the scores; None where there is none.
        auroc_text: the area with its interval in words, shown in the chart.

    Returns:
        An SVG element as text, or None where the curve is undefined because one of the classes is absent.
    """
    values, truth, dropped = clean(scores, abnormal)
    if not truth.any() or truth.all():
        return None
    with rc_context(style("roc")):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 3)), label="chance")
        alarms, hits = _thinned(*roc_points(values, truth))
        axes.plot(alarms, hits, color=palette.NORMAL, linewidth=2, label=auroc_text, clip_on=False)
        axes.fill_between(alarms, hits, color=palette.NORMAL, alpha=0.07, linewidth=0)
        if threshold is not None and np.isfinite(threshold):
            flagged = values > float(threshold)
            found, alarmed = int((flagged & truth).sum()), int((flagged & ~truth).sum())
            label = f"operating point: {found} of {truth.sum()} found,\n{alarmed} of {(~truth).sum()} false alarms"
            _mark(axes, alarmed / (~truth).sum(), found / truth.sum(), label)
        axes.set_xlabel("false alarms, share of normal images" + (f"; {dropped} left out" if dropped else ""))
        axes.set_ylabel("found, share of abnormal images")
        axes.legend(loc="lower right", fontsize=8.5, handlelength=1.4, borderaxespad=0.3)
        return inline(figure, "Receiver operating characteristic: " + auroc_text)


def precision_recall(
    scores: np.ndarray, abnormal: np.ndarray, threshold: float | None, precision_text: str
) -> str | None:
    """Precision against recall, in steps, with the operating point and the prevalence.

    Args:
        scores: (n,) float, raw scores. Scores that are not finite are left out.
        abnormal: (n,) bool, the truth.
        threshold: the operating point in the unit of the scores; None where there is none.
        precision_text: average precision with its interval in words, shown in the chart.

    Returns:
        An SVG element as text, or None where the curve is undefined because one of the classes is absent.
    """
    values, truth, dropped = clean(scores, abnormal)
    if not truth.any() or truth.all():
        return None
    with rc_context(style("precision-recall")):
        figure, axes = _square()
        prevalence = truth.mean()
        axes.axhline(prevalence, color=FAINT, linewidth=1, linestyle=(0, (2, 3)), label=f"chance: {prevalence:.3f}")
        recall, precision = precision_points(values, truth)
        if recall.size > _FINEST:
            recall, precision = np.unique(np.round([recall, precision], 3), axis=1)
        # Davis and Goadrich 2006: precision is not linear between two thresholds, so corners are joined by steps.
        axes.plot(recall, precision, color=palette.NORMAL, linewidth=2, drawstyle="steps-pre", label=precision_text,
                  clip_on=False)  # fmt: skip
        if threshold is not None and np.isfinite(threshold) and (flagged := values > float(threshold)).any():
            found = int((flagged & truth).sum())
            label = f"operating point: {found} of {flagged.sum()}\nflagged are abnormal"
            _mark(axes, found / truth.sum(), found / flagged.sum(), label)
        axes.set_xlabel("recall: found, share of abnormal images" + (f"; {dropped} left out" if dropped else ""))
        axes.set_ylabel("precision: abnormal, share of flagged")
        axes.legend(loc="best", fontsize=8.5, handlelength=1.4, borderaxespad=0.3)
        return inline(figure, "Precision against recall: " + precision_text)


def calibration(bins: Sequence[Mapping[str, Any]], text: str) -> str | None:
    """Observed share of abnormal images against predicted probability, with the interval of each bin.

    Args:
        bins: ``mean`` predicted, ``observed``, its ``low`` and ``high``, and ``count`` of images; probabilities.
        text: calibration error in words, shown in the chart.

    Returns:
        An SVG element as text, or None without bins.
    """
    if not bins:
        return None
    mean, observed, low, high = (
        np.array([entry[name] for entry in bins], dtype=float) for name in ("mean", "observed", "low", "high")
    )
    counts = np.array([entry.get("count", 1) for entry in bins], dtype=float)
    with rc_context(style("calibration")):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 3)), label="perfect")
        axes.plot(mean, observed, color=palette.NORMAL, linewidth=1.2, alpha=0.6, clip_on=False)
        axes.errorbar(mean, observed, yerr=[np.maximum(observed - low, 0), np.maximum(high - observed, 0)], fmt="none",
                      ecolor=palette.NORMAL, elinewidth=1.4, capsize=3, clip_on=False)  # fmt: skip
        axes.scatter(mean, observed, s=18 + 60 * counts / counts.max(), color=palette.NORMAL, zorder=4, clip_on=False,
                     label=f"{text}\n{len(bins)} bins, area by images")  # fmt: skip
        axes.set_xlabel("predicted probability of being abnormal")
        axes.set_ylabel("observed, share of abnormal images")
        above = bool((observed >= mean).mean() > 0.5)
        axes.legend(loc="lower right" if above else "upper left", fontsize=8.5, handlelength=1.4, borderaxespad=0.3)
        return inline(figure, "Calibration: " + text)


def froc(points: Sequence[Mapping[str, Any]]) -> str | None:
    """Marked regions found against false detections a normal image (free-response ROC).

    Args:
        points: ``false_positives`` a normal image (0 or more) and ``sensitivity`` (share of regions), in any order.

    Returns:
        An SVG element as text, or None without points.
    """
    if not points:
        return None
    order = sorted((float(point["false_positives"]), float(point["sensitivity"])) for point in points)
    alarms, found = np.array(order).T
    with rc_context(style("froc")):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        marker = "o" if len(alarms) < 20 else ""
        axes.plot(alarms, found, color=palette.NORMAL, linewidth=2, marker=marker, markersize=4, clip_on=False)
        if alarms[0] > 0 and alarms[-1] / alarms[0] > 10:
            axes.set_xscale("log", base=2)
            axes.set_xticks(alarms[:: max(1, len(alarms) // 8)])
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:.3g}")
            axes.minorticks_off()
        axes.set_ylim(0, 1)
        axes.set_xlabel("false detections a normal image")
        axes.set_ylabel("found, share of marked regions")
        return inline(figure, "Free-response ROC: marked regions found against false detections a normal image")


def roc_of_runs(runs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> str | None:
    """ROC curves of several runs in one chart.

    Args:
        runs: label, scores (n,) and truth (n,) of each run. Runs of one class are left out; after six the styles
            repeat.

    Returns:
        An SVG element as text, or None where no run has a curve.
    """
    drawn = 0
    with rc_context(style("roc-of-runs")):
        figure, axes = _square()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 3)), label="chance")
        for i, (label, scores, abnormal) in enumerate(runs):
            values, truth, _ = clean(scores, abnormal)
            if not truth.any() or truth.all():
                continue
            colour, dashes = RUN_STYLES[i % len(RUN_STYLES)]
            alarms, hits = _thinned(*roc_points(values, truth))
            axes.plot(alarms, hits, color=colour, linestyle=dashes, linewidth=1.8, label=label, clip_on=False)
            drawn += 1
        axes.set_xlabel("false alarms, share of normal images")
        axes.set_ylabel("found, share of abnormal images")
        axes.legend(loc="lower right", fontsize=8.5, handlelength=2.6, borderaxespad=0.3)
        return inline(figure, "Receiver operating characteristic of each run") if drawn else None


def roc_points(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and true-positive rates (k,), from (0, 0) to (1, 1); tied scores move together.

    Args:
        values: (n,) finite scores.
        truth: (n,) bool, both classes.
    """
    last, hits = _cumulative(values, truth)
    return np.append(0, (last + 1 - hits) / (~truth).sum()), np.append(0, hits / truth.sum())


def precision_points(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision (k,) at each threshold, by rising recall; tied scores move together.

    Args:
        values: (n,) finite scores.
        truth: (n,) bool, with an abnormal image.
    """
    last, hits = _cumulative(values, truth)
    precision = hits / (last + 1)
    return np.append(0, hits / truth.sum()), np.append(precision[0], precision)


def _cumulative(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (k,) of the last of equal scores, from the highest down, and the abnormal images up to there."""
    order = np.argsort(-values)
    last = np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)
    return last, np.cumsum(truth[order])[last]


def _thinned(across: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a curve; where there are too many, steps of a thousandth, which are finer than the line."""
    if across.size > _FINEST:
        across, up = np.unique(np.round([across, up], 3), axis=1)
    return across, up


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return figure, axes


def _mark(axes: Axes, across: float, up: float, label: str) -> None:
    """The ring of the operating point."""
    axes.plot([across], [up], "o", markersize=9, markerfacecolor="white", linestyle="none", clip_on=False,
              markeredgecolor=palette.ABNORMAL, markeredgewidth=2.2, zorder=5, label=label)  # fmt: skip
