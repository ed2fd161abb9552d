"""P-values of new scores from the scores of normal validation images (conformal)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medanomaly._moved import old_names

__getattr__ = old_names(__name__)

#: So many distinct scores, and the threshold, are kept for the edge at most; the highest half without gaps.
KEPT = 1000


def conformal_record(normal: np.ndarray, threshold: float) -> dict[str, Any]:
    """What p-values are computed from, small enough for a bundle's card.

    Args:
        normal: Raw scores of normal validation images, shape (n,).
        threshold: That of the rule; always among the kept scores if it is one of them.

    Returns:
        ``normal`` (their number n), ``scores`` (distinct ones, rising) and ``above`` (for each, how many of the n are
        higher). Of more than ``KEPT`` distinct scores the highest half of ``KEPT`` are all kept, and of the others as
        many evenly by rank: their p-values then are a little too large, never too small.
    """
    ordered = np.sort(np.asarray(normal, dtype=np.float64))
    levels = np.unique(ordered)
    if len(levels) > KEPT:
        half = KEPT // 2
        spread = np.linspace(0, len(levels) - half - 1, half).round().astype(int)
        kept = np.union1d(spread, np.arange(len(levels) - half, len(levels)))
        levels = levels[np.union1d(kept, np.flatnonzero(levels == threshold))]
    above = len(ordered) - np.searchsorted(ordered, levels, "right")
    return {"normal": len(ordered), "scores": levels.tolist(), "above": above.tolist()}


def p_value(scores: Any, known: Mapping[str, Any]) -> np.ndarray:
    """P-value of each score: (1 + number of normal validation scores at or above it) / (n + 1).

    A new normal image that is exchangeable with the n has a p-value of at most ``a`` with probability at most ``a``,
    for every ``a`` (Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates 2021). It is flagged by the rule ``conformal``
    exactly when its p-value is at most alpha.

    Args:
        scores: Raw scores, any shape.
        known: A record of :func:`conformal_record`.

    Returns:
        Values in [1 / (n + 1), 1], of the scores' shape.
    """
    # What is at or above a score is above the next lower one.
    lower = np.searchsorted(np.asarray(known["scores"], dtype=np.float64), np.asarray(scores, dtype=np.float64), "left")
    above = np.append(known["normal"], known["above"])[lower]
    return (1 + above) / (known["normal"] + 1)
