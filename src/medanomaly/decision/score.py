"""Map a raw score to the ranking score and to (0, 1), for torch tensors and numpy arrays alike."""

from __future__ import annotations

from typing import Any

from medanomaly._moved import old_names

__getattr__ = old_names(__name__)


def ranking_score(raw: Any, centre: Any) -> Any:
    """The score that is compared with the threshold, of raw scores of any shape.

    The raw score itself, or for a two-sided rule its distance from ``centre``; None for a rule with one side.
    """
    return raw if centre is None else abs(raw - centre)


def to_unit(raw: Any, threshold: Any, scale: Any) -> Any:
    """Map raw scores to (0, 1), 0.5 at the threshold.

    ``0.5 + z / (2 (1 + |z|))`` with ``z = (raw - threshold) / scale``: strictly monotone, invertible and never clamped,
    and unlike a logistic curve it flattens slowly, so that far scores keep their order in 32-bit floats.

    Args:
        raw: Deciding scores, any shape (float, numpy array or torch tensor).
        threshold: Deciding score of the operating point.
        scale: Positive; the distance from the threshold at which the result is 0.25 or 0.75.
    """
    z = (raw - threshold) / scale
    return 0.5 + 0.5 * z / (1 + abs(z))
