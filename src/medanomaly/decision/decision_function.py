"""Decide on a raw score by a recorded operating point: one formula for edge, evidence and ``medanomaly decide``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.decision.conformal import conformal_record, p_value
from medanomaly.decision.rules import Fitted, Value, question
from medanomaly.decision.score import ranking_score, to_unit


@dataclass(frozen=True)
class DecisionFunction:
    """Decide on raw scores, in 32 bit as the model gives them.

    Args:
        threshold: What :meth:`deciding` must exceed.
        scale: See :func:`medanomaly.decision.score.to_unit`.
        centre: Of a two-sided rule, the raw score that distances are taken from; else None.
        known: What p-values are computed from, see :mod:`medanomaly.decision.conformal`; None for other rules.
    """

    threshold: np.float32
    scale: np.float32
    centre: np.float32 | None = None
    known: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> DecisionFunction:
        """From the record of an operating point, of a run's evidence or a bundle's card.

        Raises:
            KeyError, TypeError, ValueError: if the record is incomplete.
        """
        centre, known = record.get("centre"), record.get("calibration")
        if known is not None:
            p_value(0.0, known)
        return cls(
            np.float32(record["threshold"]),
            np.float32(record["scale"]),
            None if centre is None else np.float32(centre),
            known,
        )

    def ranking_score(self, raw: Any) -> Any:
        """The score that is compared with the threshold: the raw one, or its distance from the centre."""
        return ranking_score(np.float32(raw), self.centre)

    def score(self, raw: Any) -> Any:
        """Scores in (0, 1), 0.5 at the operating point."""
        return to_unit(self.ranking_score(raw), self.threshold, self.scale)

    def abnormal(self, raw: Any) -> Any:
        """The decisions, bool."""
        return self.ranking_score(raw) > self.threshold

    def p_value(self, raw: Any) -> Any:
        """P-values in (0, 1]; None if the rule is not ``conformal``."""
        return None if self.known is None else p_value(np.float32(raw), self.known)


def record(rule: str, value: Value | None, fitted: Fitted, normal: np.ndarray, fitted_on: Mapping[str, int]) -> dict:
    """An image operating point as plain JSON values.

    Args:
        rule: The rule.
        value: Its checked value.
        fitted: What was chosen, in 32 bit as it will be compared.
        normal: Raw scores of normal validation images (n,); used for ``conformal`` alone.
        fitted_on: Number of ``normal`` and ``abnormal`` validation images.

    Returns:
        ``rule``, ``value``, ``question``, ``threshold``, ``scale`` and ``fitted_on``; for a two-sided rule also
        ``centre``, ``low`` and ``high`` (raw scores outside which an image is flagged), for ``conformal``
        ``calibration``.
    """
    point: dict[str, Any] = {
        "rule": rule,
        "value": value,
        "question": question(rule, value),
        "threshold": float(np.float32(fitted.threshold)),
        "scale": float(np.float32(fitted.scale)),
        "fitted_on": dict(fitted_on),
    }
    if fitted.centre is not None:
        centre = float(np.float32(fitted.centre))
        point |= {"centre": centre, "low": centre - point["threshold"], "high": centre + point["threshold"]}
    if rule == "conformal":
        point["calibration"] = conformal_record(normal, point["threshold"])
    return point


def summary(point: Mapping[str, Any]) -> dict[str, Any]:
    """An operating point's record without what it was computed from: for logs and histories."""
    return {key: item for key, item in point.items() if key not in ("calibration", "history")}
