"""Check the numbers of a card that decide: NaN or infinity there would spoil the score of every image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from medanomaly.decision.rule_table import LARGEST


def wrong_number(point: Mapping[str, Any]) -> str | None:
    """What is wrong with the numbers of an operating point.

    Args:
        point: The card's ``operating_point``.

    Returns:
        The field, what it holds and what is allowed, as a part of a sentence; None if all can decide.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: if the record is incomplete.
    """
    for name, value, allowed, good in _numbers(point):
        if not good:
            return f"{name} is {_shown(value)}, not {allowed}"
    return None


def _numbers(point: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, bool]]:
    pixel, centre, known = point.get("pixel"), point.get("centre"), point.get("calibration")
    for of, part in (("operating_point", point), ("operating_point.pixel", pixel)):
        if part:
            for name in ("threshold", "scale"):
                allowed = "a finite number" if name == "threshold" else "a finite number above 0"
                good = _finite(part[name]) and (name == "threshold" or bool(np.float32(part[name]) > 0))
                yield f"{of}.{name}", part[name], allowed, good
    if centre is not None:
        yield "operating_point.centre", centre, "a finite number", _finite(centre)
    if known is not None:
        normal, scores, above = known["normal"], known["scores"], known["above"]
        good = isinstance(normal, int) and not isinstance(normal, bool) and normal >= 0
        yield "operating_point.calibration.normal", normal, "the number of images", good
        wrong = next((score for score in scores if not _finite(score)), None)
        yield "operating_point.calibration.scores", wrong, "finite numbers", wrong is None
        rising = all(a < b for a, b in pairwise(scores))
        yield "operating_point.calibration.scores", "not rising", "rising numbers", rising
        counts = len(above) == len(scores) and all(_finite(count) and 0 <= count <= normal for count in above)
        yield "operating_point.calibration.above", "something else", "a number of images for each score", counts


def _finite(value: Any) -> bool:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain and -LARGEST <= value <= LARGEST


def _shown(value: Any) -> str:
    text = "NaN" if isinstance(value, float) and math.isnan(value) else "true" if value is True else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
