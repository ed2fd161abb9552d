"""The table of threshold rules: name, default, allowed values, question in words, and the images that each needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from medanomaly.decision import threshold_rules

#: The largest finite number of 32 bit, in which scores are compared.
LARGEST = float(np.finfo(np.float32).max)

#: A rule's parameter: one number, or several by name.
Value: TypeAlias = "float | dict[str, float]"


@dataclass(frozen=True)
class Rule:
    """One way to choose a threshold.

    Args:
        choose: ``(normal, abnormal, value) -> threshold`` on scores of shape (n,) and (m,).
        default: The value used when none is given; None where one must be given.
        valid: Whether a value makes sense.
        needs: What the value means and its range, for messages; empty for a rule without one.
        question: Value to the question that the rule answers, in words.
        needs_abnormal: Whether labelled abnormal images are needed.
        needs_normal: Whether normal images are needed.
        images_only: Why the rule cannot choose a pixel threshold; empty if it can.
        centre: For a two-sided rule, normal scores (n,) to the score that distances are taken from.
    """

    choose: Callable[[np.ndarray, np.ndarray, Any], float]
    default: float | None
    valid: Callable[[Any], bool]
    needs: str
    question: Callable[[Any], str]
    needs_abnormal: bool = False
    needs_normal: bool = True
    images_only: str = ""
    centre: Callable[[np.ndarray], float] | None = None

    @property
    def uses(self) -> tuple[str, ...]:
        """The kinds of images that choose the threshold: ``normal``, ``abnormal``, both, or none."""
        needed = {"normal": self.needs_normal, "abnormal": self.needs_abnormal}
        return tuple(kind for kind, wanted in needed.items() if wanted)


COSTS = ("miss", "alarm", "prevalence")


def _costs(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != set(COSTS):
        return False
    return all(0 < value[name] < math.inf for name in COSTS) and value["prevalence"] < 1


def _share(value: float) -> bool:
    return 0 < value <= 1


def in_32_bit(value: float) -> bool:
    """Whether a number lies in the range in which scores are compared."""
    return -LARGEST <= value <= LARGEST


def _never(_value: Any) -> bool:
    return False


RULES: dict[str, Rule] = {
    "sigma": Rule(
        threshold_rules.sigma,
        2.0,
        math.isfinite,
        "k standard deviations, any finite number",
        lambda k: f"Which images score more than {k:g} standard deviations above the mean of healthy ones?",
    ),
    "sigma_two_sided": Rule(
        threshold_rules.sigma_two_sided,
        2.0,
        lambda k: 0 < k < math.inf,
        "k standard deviations, a number above 0",
        lambda k: f"Which images score more than {k:g} standard deviations above or below the mean of healthy ones?",
        images_only="a heat map has no lower side",
        centre=lambda normal: float(normal.mean()),
    ),
    "quantile": Rule(
        threshold_rules.quantile,
        0.95,
        lambda q: 0 <= q <= 1,
        "a share of healthy images, from 0 to 1",
        lambda q: f"Which images score above the {q:g} quantile of healthy images?",
    ),
    "conformal": Rule(
        threshold_rules.conformal,
        0.05,
        lambda alpha: 0 < alpha < 1,
        "alpha, the share of new healthy images that may be flagged, above 0 and below 1",
        lambda alpha: (
            f"Which images score so high that at most a share {alpha:g} of new healthy images would be flagged, "
            f"whatever the distribution of scores?"
        ),
        images_only="pixels of one image are not exchangeable, so it could not keep its promise",
    ),
    "specificity": Rule(
        threshold_rules.specificity,
        0.95,
        _share,
        "a share of healthy images, above 0 and up to 1",
        lambda share: f"Which images score higher than {100 * share:.3g} in 100 healthy validation images?",
    ),
    "sensitivity": Rule(
        threshold_rules.sensitivity,
        0.95,
        _share,
        "a share of abnormal images, above 0 and up to 1",
        lambda share: f"Above which score do {100 * share:.3g} in 100 abnormal images lie?",
        needs_abnormal=True,
        needs_normal=False,
    ),
    "f1": Rule(
        threshold_rules.f1,
        None,
        _never,
        "",
        lambda _: "At which threshold is F1 on the labelled validation images largest?",
        needs_abnormal=True,
    ),
    "youden": Rule(
        threshold_rules.youden,
        None,
        _never,
        "",
        lambda _: "At which threshold is sensitivity plus specificity on the labelled validation images largest?",
        needs_abnormal=True,
    ),
    "cost": Rule(
        threshold_rules.cost,
        None,
        _costs,
        "miss and alarm (costs above 0) and prevalence (above 0 and below 1), as in "
        "cost:miss=10,alarm=1,prevalence=0.02",
        lambda v: (
            f"Which images are cheaper to flag, where a miss costs {v['miss']:g}, a false alarm "
            f"{v['alarm']:g}, and {100 * v['prevalence']:.3g} in 100 images are abnormal?"
        ),
        needs_abnormal=True,
    ),
    "manual": Rule(
        threshold_rules.manual,
        None,
        in_32_bit,
        f"the raw score itself, a finite number of 32 bit (up to {LARGEST:.2g})",
        lambda v: f"Which images have a raw score above {v:g}?",
        needs_normal=False,
    ),
}
