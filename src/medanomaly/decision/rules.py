"""Choose a threshold on raw validation scores by a rule of :mod:`medanomaly.decision.rule_table`; numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly._moved import old_names
from medanomaly.decision.rule_table import COSTS, LARGEST, RULES, Value, in_32_bit
from medanomaly.decision.threshold_rules import RuleError
from medanomaly.spec import Spec

__all__ = [
    "RULES",
    "Fitted",
    "RuleError",
    "Value",
    "applicable_rules",
    "check_rule",
    "choose_scale",
    "choose_threshold",
    "fit",
    "parse_rule",
    "question",
]  # fmt: skip

__getattr__ = old_names(__name__)


@dataclass(frozen=True)
class Fitted:
    """A chosen threshold.

    Args:
        threshold: Raw score above which an image is flagged; of a two-sided rule, the distance from ``centre``.
        scale: Positive, see :func:`medanomaly.decision.score.to_unit`.
        centre: Of a two-sided rule, the raw score that distances are taken from; else None.
    """

    threshold: float
    scale: float
    centre: float | None = None


def parse_rule(text: str, of: str = "images") -> tuple[str, Value | None]:
    """A rule and its value from ``rule``, ``rule:0.95`` or ``rule:name=1,name=2``, checked by :func:`check_rule`.

    Raises:
        RuleError: for an unknown rule, or a value that is malformed, missing, out of range or not wanted.
    """
    spec = Spec.parse(text)
    value: Value | None = None
    try:
        if spec.named:
            value = spec.named_numbers()
        elif spec.argument is not None:
            value = spec.number()
    except ValueError:
        raise RuleError(f"'{spec.argument}' in '{text}' is no value. Write rule:0.95, or rule:name=1,name=2.") from None
    if value is not None and spec.name in RULES and not RULES[spec.name].needs:
        raise RuleError(f"Rule '{spec.name}' takes no value; '{text}' gives it one.")
    return spec.name, check_rule(spec.name, value, of)


def check_rule(rule: str, value: Value | None, of: str = "images") -> Value | None:
    """The value to use for a rule, checked.

    Args:
        rule: A key of ``RULES``.
        value: The rule's parameter; None for its default.
        of: What the threshold is for, ``images`` or ``pixels``.

    Returns:
        The value; None for a rule that takes none, whatever was given.

    Raises:
        RuleError: for an unknown rule, one that cannot decide on pixels, or a value that is missing or out of range.
    """
    if rule not in RULES:
        raise RuleError(f"There is no rule '{rule}'. Rules: {', '.join(RULES)}.")
    known = RULES[rule]
    if of == "pixels" and known.images_only:
        others = ", ".join(applicable_rules(1, 1, of))
        raise RuleError(f"Rule '{rule}' is for images, not pixels: {known.images_only}. Pixel rules: {others}.")
    if not known.needs:
        return None
    value = known.default if value is None else value
    try:
        valid = value is not None and known.valid(value)
    except TypeError:  # several numbers for a rule that takes one
        valid = False
    if value is None or not valid:
        given = f", not {_typed(value)}" if value is not None else ", and none is given"
        raise RuleError(f"Rule '{rule}' needs {known.needs}{given}.")
    return {name: float(value[name]) for name in COSTS} if isinstance(value, Mapping) else float(value)


def _typed(value: Any) -> str:
    """A value as it would be typed."""
    return ",".join(f"{name}={number}" for name, number in value.items()) if isinstance(value, Mapping) else str(value)


def applicable_rules(normal: int, abnormal: int, of: str = "images") -> list[str]:
    """Rules that these numbers of normal and abnormal validation images (or pixels) allow."""
    return [
        name
        for name, rule in RULES.items()
        if (normal or not rule.needs_normal)
        and (abnormal or not rule.needs_abnormal)
        and not (of == "pixels" and rule.images_only)
    ]


def choose_threshold(
    rule: str, value: Value | None, normal: np.ndarray, abnormal: np.ndarray, of: str = "images"
) -> float:
    """Choose a threshold; an image is flagged when its score is above it.

    Args:
        rule: A key of ``RULES``.
        value: The rule's parameter; None for its default.
        normal: Scores of normal validation images, shape (n,): raw ones, or a two-sided rule's distances.
        abnormal: Scores of abnormal validation images, shape (m,); may be empty.
        of: What the threshold is for, ``images`` or ``pixels``.

    Raises:
        RuleError: if the rule needs images that are not there (lists the rules that would work), a score is NaN or
            infinite, or the threshold is beyond the range of 32-bit numbers.
    """
    value = check_rule(rule, value, of)
    normal, abnormal = np.asarray(normal, dtype=np.float64), np.asarray(abnormal, dtype=np.float64)
    lacks = [
        kind
        for kind, needed, have in (
            ("normal", RULES[rule].needs_normal, normal.size),
            ("abnormal", RULES[rule].needs_abnormal, abnormal.size),
        )
        if needed and not have
    ]
    if lacks:
        raise RuleError(
            f"Rule '{rule}' needs {' and '.join(lacks)} validation {of}, and there are none. "
            f"Rules that would work: {', '.join(applicable_rules(normal.size, abnormal.size, of))}."
        )
    bad = ~np.isfinite(np.concatenate([normal, abnormal]))
    if bad.any():
        raise RuleError(f"{int(bad.sum())} validation scores are NaN or infinite: the model has diverged.")
    with np.errstate(over="ignore"):
        return _checked(rule, value, "threshold", RULES[rule].choose(normal, abnormal, value))


def _checked(rule: str, value: Value | None, what: str, number: float) -> float:
    """A number of an operating point, if 32 bit hold it.

    Raises:
        RuleError: if not.
    """
    if in_32_bit(number):
        return number
    given = "" if value is None else f" with {_typed(value)}"
    raise RuleError(
        f"Rule '{rule}'{given} gives a {what} of {number:.3g}, beyond the range of the 32-bit numbers (up to "
        f"{LARGEST:.2g}) in which scores are compared. Choose another value, or another rule."
    )


def choose_scale(threshold: float, normal: np.ndarray) -> float:
    """A positive scale for :func:`medanomaly.decision.score.to_unit`.

    The distance from the median of the normal scores to the threshold, so that a typical healthy image gets about
    0.25; where that is zero, the threshold's size, else 1.
    """
    distance = abs(threshold - float(np.median(normal))) if np.size(normal) else 0.0
    return next(d for d in (distance, abs(threshold), 1.0) if np.isfinite(d) and d > 1e-12)


def fit(rule: str, value: Value | None, scores: np.ndarray, abnormal: np.ndarray, of: str = "images") -> Fitted:
    """Choose threshold, scale and, for a two-sided rule, centre from raw scores (n,) and their truth (n,) of bool.

    Raises:
        RuleError: see :func:`choose_threshold`.
    """
    scores, abnormal = np.asarray(scores, dtype=np.float64), np.asarray(abnormal, dtype=bool)
    find = RULES[rule].centre if rule in RULES else None
    centre = None
    if find is not None and not abnormal.all():
        centre = find(scores[~abnormal])
        scores = np.abs(scores - centre)
    threshold = choose_threshold(rule, value, scores[~abnormal], scores[abnormal], of)
    scale = _checked(rule, value, "scale", choose_scale(threshold, scores[~abnormal]))
    return Fitted(threshold, scale, centre)


def question(rule: str, value: Value | None) -> str:
    """The question a rule answers, in words."""
    return RULES[rule].question(check_rule(rule, value))
