"""Rules that choose a threshold on raw validation scores. Pure functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class RuleError(ValueError):
    """A rule cannot be applied. The message says what it needs and which rules would work."""


@dataclass(frozen=True)
class Rule:
    """One way to choose a threshold.

    Args:
        choose: ``(normal, abnormal, value) -> threshold`` on raw scores of shape (n,) and (m,).
        default: The value used when none is given; None where one must be given.
        valid: Whether a value makes sense.
        needs: What the value means and its range, for messages.
        question: Value to the question that the rule answers, in words.
        needs_abnormal: Whether labelled abnormal images are needed.
        needs_normal: Whether normal images are needed.
    """

    choose: Callable[[np.ndarray, np.ndarray, float], float]
    default: float | None
    valid: Callable[[float], bool]
    needs: str
    question: Callable[[float], str]
    needs_abnormal: bool = False
    needs_normal: bool = True


def _sigma(normal: np.ndarray, _abnormal: np.ndarray, k: float) -> float:
    return float(normal.mean() + k * normal.std())


def _quantile(normal: np.ndarray, _abnormal: np.ndarray, q: float) -> float:
    return float(np.quantile(normal, q))


def _manual(_normal: np.ndarray, _abnormal: np.ndarray, value: float) -> float:
    return float(value)


def _f1(normal: np.ndarray, abnormal: np.ndarray, _value: float) -> float:
    scores = np.concatenate([normal, abnormal])
    truth = np.concatenate([np.zeros(len(normal)), np.ones(len(abnormal))])
    order = np.argsort(-scores, kind="stable")
    scores, truth = scores[order], truth[order]
    hits = np.cumsum(truth)
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + truth.sum())
    last_of_ties = np.append(scores[:-1] != scores[1:], True)
    f1[~last_of_ties] = -1
    return _just_below(scores[int(np.argmax(f1))], scores)


def _sensitivity(normal: np.ndarray, abnormal: np.ndarray, share: float) -> float:
    # Less a trifle: 0.07 × 100 is a little more than 7, and would ask for 8.
    wanted = int(np.ceil(share * len(abnormal) - 1e-9))
    return _just_below(np.sort(abnormal)[-wanted], np.concatenate([normal, abnormal]))


def _just_below(lowest: float, scores: np.ndarray) -> float:
    """The threshold above which ``lowest`` is the lowest of the scores."""
    below = scores[scores < lowest]
    if not len(below):  # everything is flagged; in 32 bit, as the graph compares
        return float(np.nextafter(np.float32(lowest), np.float32(-np.inf)))
    # Halfway to the next lower score: the threshold itself is never a score, so rounding cannot flip a decision.
    return float((lowest + below.max()) / 2)


RULES: dict[str, Rule] = {
    "sigma": Rule(
        _sigma,
        2.0,
        np.isfinite,
        "k standard deviations, any finite number",
        lambda k: f"Which images score more than {k:g} standard deviations above the mean of healthy ones?",
    ),
    "quantile": Rule(
        _quantile,
        0.95,
        lambda q: 0 <= q <= 1,
        "a share of healthy images, from 0 to 1",
        lambda q: f"Which images score so high that only {100 * (1 - q):.3g} in 100 healthy images do?",
    ),
    "f1": Rule(
        _f1,
        0.0,
        lambda _: True,
        "no value",
        lambda _: "At which threshold is F1 on the labelled validation images largest?",
        needs_abnormal=True,
    ),
    "sensitivity": Rule(
        _sensitivity,
        0.95,
        lambda share: 0 < share <= 1,
        "a share of abnormal images, above 0 and up to 1",
        lambda share: f"Which images score so high that {100 * share:.3g} in 100 abnormal ones are among them?",
        needs_abnormal=True,
        needs_normal=False,
    ),
    "manual": Rule(
        _manual,
        None,
        np.isfinite,
        "the raw score itself, any finite number",
        lambda v: f"Which images have a raw score above {v:g}?",
        needs_normal=False,
    ),
}


def check_rule(rule: str, value: float | None) -> float:
    """The value to use for a rule, checked.

    Raises:
        RuleError: for an unknown rule, or a value that is missing or out of range.
    """
    if rule not in RULES:
        raise RuleError(f"There is no rule '{rule}'. Rules: {', '.join(RULES)}.")
    value = RULES[rule].default if value is None else value
    if value is None or not RULES[rule].valid(value):
        raise RuleError(f"Rule '{rule}' needs {RULES[rule].needs}, not {value}.")
    return float(value)


def choose_threshold(rule: str, value: float | None, normal: np.ndarray, abnormal: np.ndarray) -> float:
    """Choose a raw threshold; an image is flagged when its raw score is above it.

    Args:
        rule: A key of ``RULES``.
        value: The rule's parameter; None for its default.
        normal: Raw scores of normal validation images, shape (n,).
        abnormal: Raw scores of abnormal validation images, shape (m,); may be empty.

    Raises:
        RuleError: if the rule needs images that are not there (lists the rules that would work), or a score is NaN or
            infinite.
    """
    value = check_rule(rule, value)
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
        works = [
            name
            for name, r in RULES.items()
            if (normal.size or not r.needs_normal) and (abnormal.size or not r.needs_abnormal)
        ]
        raise RuleError(
            f"Rule '{rule}' needs {' and '.join(lacks)} validation images, and there are none. "
            f"Rules that would work: {', '.join(works)}."
        )
    bad = ~np.isfinite(np.concatenate([normal, abnormal]))
    if bad.any():
        raise RuleError(f"{int(bad.sum())} validation scores are NaN or infinite: the model has diverged.")
    return RULES[rule].choose(normal, abnormal, value)


def choose_scale(threshold: float, normal: np.ndarray) -> float:
    """A positive scale for :func:`medanomaly.decision.score.to_unit`.

    The distance from the median of the normal scores to the threshold, so that a typical healthy image gets about
    0.25; where that is zero, the threshold's size, else 1.
    """
    distance = abs(threshold - float(np.median(normal))) if np.size(normal) else 0.0
    return next(d for d in (distance, abs(threshold), 1.0) if np.isfinite(d) and d > 1e-12)


def question(rule: str, value: float | None) -> str:
    """The question a rule answers, in words."""
    return RULES[rule].question(check_rule(rule, value))
