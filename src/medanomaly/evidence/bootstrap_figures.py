"""Figures with their intervals as plain JSON values; what is undefined is None, never 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.interval import Interval, wilson

#: Why a figure has no interval.
ONE_GROUP = "all images are of one group, so that there is nothing to draw"
NO_SPREAD = "all draws gave the same value; these images cannot say how sure it is"
FEW_DRAWS = "it is undefined in more than half of the draws"
#: Draws that differ by less differ by rounding.
_TRIFLE = 1e-12


def number(value: float | None) -> float | None:
    """A float for JSON: undefined (NaN) becomes None."""
    return None if value is None or math.isnan(value) else float(value)


def proportion(successes: int, trials: int) -> dict[str, Any]:
    """A share with Wilson's interval and its count; all None without trials."""
    low, high = wilson(successes, trials)
    return {
        "value": successes / trials if trials else None,
        "low": number(low),
        "high": number(high),
        "interval": "95 % Wilson",
        "count": [successes, trials],
    }


def figure(found: Interval, interval: str) -> dict[str, Any]:
    """A figure of the 2×2 table; ``interval`` names its method."""
    return {"value": number(found.value), "low": number(found.low), "high": number(found.high), "interval": interval}


def estimate(
    metric: Callable[..., float], bootstrap: GroupBootstrap, reason: str | None = None, share: bool = True
) -> dict[str, Any]:
    """A metric with its interval by drawing groups.

    Args:
        metric: ``metric()`` on the images, ``metric(weights)`` on a draw.
        bootstrap: The draws.
        reason: Why it may be undefined, for the record.
        share: As in :class:`FigureSpec`.
    """
    return estimates(lambda w: [metric(w)], {"": FigureSpec(reason, share)}, bootstrap)[""]


@dataclass(frozen=True)
class FigureSpec:
    """What is asked of one metric.

    Args:
        reason: Why it may be undefined, for the record.
        share: Whether it lies in [0, 1]: then the interval is made on the logit scale, which covers best. Where that is
            undefined, as at exactly 0 or 1, and for other metrics, the draws' percentiles are taken. Draws that do not
            vary give no interval: one of width 0 would claim to be sure.
    """

    reason: str | None = None
    share: bool = True


def estimates(
    metrics: Callable[[np.ndarray | None], Sequence[float]], asked: Mapping[str, FigureSpec], bootstrap: GroupBootstrap
) -> dict[str, dict[str, Any]]:
    """Several metrics with their intervals, each draw made once for all.

    Args:
        metrics: All metrics on a draw's weights, or on the images where these are None.
        asked: Name to what is asked of it, in the order of the metrics.
        bootstrap: The draws.

    Returns:
        Records by name with ``value``, ``low``, ``high`` and ``interval``, the method; a ``reason`` where the value or
        its interval is None.
    """
    centres = metrics(None)
    drawn = bootstrap.values(metrics) if bootstrap.number > 1 else np.empty((0, len(centres)))
    found = {}
    for (name, one), centre, values in zip(asked.items(), centres, drawn.T, strict=True):
        low = high = math.nan
        method = "percentiles"
        unsure = None if math.isnan(centre) else _no_interval(values, bootstrap)
        if not math.isnan(centre) and unsure is None:
            if one.share:
                low, high = bootstrap.ends(values, centre, "student-logit")
                method = "Student's t on the logit scale"
            if math.isnan(low):
                low, high = bootstrap.ends(values, centre)
                method = "percentiles"
        found[name] = {
            "value": number(centre),
            "low": number(low),
            "high": number(high),
            "interval": f"95 % bootstrap by group, {bootstrap.draws} draws, {method}" if unsure is None else "",
        }
        reason = one.reason if math.isnan(centre) else unsure
        if reason:
            found[name]["reason"] = reason
    return found


def _no_interval(values: np.ndarray, bootstrap: GroupBootstrap) -> str | None:
    """Why a metric's values in the draws (draws,) give no interval; None where they do."""
    if bootstrap.number < 2:
        return ONE_GROUP
    known = values[np.isfinite(values)]
    if len(known) and np.ptp(known) < _TRIFLE:
        return NO_SPREAD
    return FEW_DRAWS if len(known) < bootstrap.draws / 2 else None
