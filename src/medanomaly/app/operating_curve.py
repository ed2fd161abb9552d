"""The trade-off at each operating point: what fewer misses cost in false alarms, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from medanomaly.decision import threshold_rules
from medanomaly.decision.conformal import conformal_record, p_value
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.decision.operating_point_log import DecideError, read_scores
from medanomaly.edge.bundle import Bundle
from medanomaly.files import sha256
from medanomaly.metrics.interval import wilson

#: What can be asked for.
ALARMS, SENSITIVITY = "alarms", "sensitivity"


@dataclass(frozen=True)
class Share:
    """A proportion on validation images with its 95 % interval by Wilson."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends, in [0, 1]."""
        return wilson(self.count, self.total)


@dataclass(frozen=True)
class Cost:
    """What a threshold does on the validation images; None for a class that has none."""

    threshold: float
    alarms: Share | None
    sensitivity: Share | None


class Curve:
    """The bundle's validation scores, as every threshold sees them.

    Args:
        decider: The bundle's own operating point.
        raw: Raw validation scores (n,).
        abnormal: Their truth (n,) of bool.
    """

    def __init__(self, decider: DecisionFunction, raw: np.ndarray, abnormal: np.ndarray) -> None:
        self.decider = decider
        deciding = np.asarray(decider.ranking_score(raw), dtype=np.float32)
        self.normal, self.abnormal = deciding[~abnormal], deciding[abnormal]

    @classmethod
    def of(cls, bundle: Bundle) -> Curve | str:
        """Of a bundle; or, as text, why there is none.

        The scores lie beside the card, which names them with their SHA-256.
        """
        known = bundle.card.get("validation")
        if not known:
            return "This bundle holds no validation scores. Export it again to move its operating point here."
        path = bundle.path / str(known.get("file", ""))
        if not path.is_file() or sha256(path) != known.get("sha256"):
            return f"{path.name} of this bundle is missing or was altered. Copy the whole folder again."
        try:
            raw, abnormal = read_scores(path)
        except DecideError as error:
            return str(error)
        if not len(raw) or not np.isfinite(raw).all() or abnormal.all():
            return "The validation scores of this bundle hold no normal image, or a score that is no number."
        return cls(DecisionFunction.of(bundle.card["operating_point"]), raw, abnormal)

    def cost(self, threshold: float) -> Cost:
        """What is flagged above a threshold of the ranking score."""

        def share(scores: np.ndarray) -> Share | None:
            return Share(int((scores > np.float32(threshold)).sum()), len(scores)) if len(scores) else None

        return Cost(threshold, share(self.normal), share(self.abnormal))

    @property
    def questions(self) -> tuple[str, ...]:
        """What can be asked for: sensitivity only where validation has abnormal images."""
        return (ALARMS, SENSITIVITY) if len(self.abnormal) else (ALARMS,)

    def threshold(self, question: str, per_hundred: float) -> float:
        """The threshold that answers a question.

        Args:
            question: ``alarms``: flag at most N of 100 healthy images, and miss as few as that allows.
                ``sensitivity``: flag at least N of 100 abnormal ones, with as few false alarms as that allows.
            per_hundred: 0 to 100; to find at least none, nothing is flagged.
        """
        if question == SENSITIVITY and per_hundred <= 0:
            return float(max(self.normal.max(), self.abnormal.max()))
        if question == ALARMS:
            if per_hundred >= 100:
                lowest = min(self.normal.min(), self.abnormal.min() if len(self.abnormal) else np.inf)
                return float(np.nextafter(np.float32(lowest), np.float32(-np.inf)))
            return threshold_rules.specificity(self.normal, self.abnormal, 1 - per_hundred / 100)
        return threshold_rules.sensitivity(self.normal, self.abnormal, per_hundred / 100)

    @cached_property
    def _known(self) -> dict:
        return conformal_record(self.normal, float(self.decider.threshold))

    def p_value(self, raw: float) -> float:
        """How often normal validation images are so unusual, in (0, 1]; see :mod:`medanomaly.decision.conformal`."""
        return float(p_value(self.decider.ranking_score(raw), self._known))


@dataclass(frozen=True)
class Point:
    """The operating point at work.

    Args:
        decider: Decides and gives scores in (0, 1).
        moved: Whether it is another than the bundle's own, which was tested.
    """

    decider: DecisionFunction
    moved: bool = False

    @classmethod
    def at(cls, own: DecisionFunction, threshold: float | None) -> Point:
        """At a threshold of the ranking score; None for the bundle's own."""
        if threshold is None or np.float32(threshold) == own.threshold:
            return cls(own)
        return cls(replace(own, threshold=np.float32(threshold)), True)
