"""Format figures, settings and dates as text, in one way on every page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

NBSP = "\u00a0"
UNDEFINED = "undefined"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with fixed decimals; "undefined" for None, NaN and infinity, never 0."""
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign and fixed decimals."""
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:+.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 0) -> str:
    """A proportion in [0, 1] as per cent; one that is not exactly 0 or 1 never reads as 0 or 100."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    for places in range(digits, 3):
        text = f"{100 * value:.{places}f}"
        if float(text) not in (0, 100) or value in (0, 1):
            return text + NBSP + "%"
    return ("< 0.01" if value < 0.5 else "> 99.99").replace(" ", NBSP) + NBSP + "%"


#: Stands before the ends of an interval in running text.
LEVEL = "95 % interval "

#: How a figure is written.
STYLES: dict[str, Callable[[float | None], str]] = {
    "number": number,
    "signed": signed,
    "percent": lambda value: percent(value, 1),
    "ratio": lambda value: number(value, 2),
}


def raw(value: float | None) -> str:
    """A raw score with four significant digits."""
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:.4g}"


def chance(p: float | None) -> str:
    """A p value with three decimals; smaller ones as "< 0.001"."""
    if p is None or not math.isfinite(p):
        return UNDEFINED
    return f"<{NBSP}0.001" if p < 0.001 else f"{p:.3f}"


def span(figure: Mapping[str, Any] | None, style: str = "number", between: str = " – ", before: str = "") -> str:
    """The interval of a figure, "0.700 – 0.753"; "" where it has none.

    Args:
        figure: With ``low`` and ``high``, either of which may be missing or None.
        style: One of STYLES.
        between: Stands between both ends.
        before: Stands before them, such as LEVEL.
    """
    figure = figure or {}
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    say = STYLES[style]
    return f"{before}{say(low)}{between}{say(high)}"


def with_span(figure: Mapping[str, Any] | None, style: str = "number", between: str = " – ", before: str = "") -> str:
    """A figure and its interval, "0.731 (0.700 – 0.753)"; the figure alone where it has none. See :func:`span`."""
    interval = span(figure, style, between, before)
    return STYLES[style]((figure or {}).get("value")) + (f" ({interval})" if interval else "")


def plain(value: Any) -> str:
    """A setting in words: a name as it is, a list separated by commas, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or "none"
    if isinstance(value, Sequence) and all(isinstance(entry, (str, int, float)) for entry in value):
        return ", ".join(str(entry) for entry in value)
    return json.dumps(value, ensure_ascii=False, default=str)


def moment(text: str | None) -> str:
    """An ISO date and time as "21 November 2026, 05:40 UTC"; text of any other form stays as it is."""
    try:
        when = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return text or "an unknown date"
    return f"{when.day} {when:%B %Y, %H:%M} {when.tzname() or ''}".strip()


def sentence(text: str) -> str:
    """Text with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def rule(point: Mapping[str, Any], spec: str = "") -> str:
    """The rule of an operating point with its value, "quantile 0.95" or "cost (miss 10, alarm 1)".

    Args:
        point: With ``rule``, and where it has one ``value``: a number, or several by name.
        spec: Python's format of a single number; "" writes it in full.
    """
    value = point.get("value")
    if isinstance(value, Mapping):
        return f"{point['rule']} ({', '.join(f'{name} {part:g}' for name, part in value.items())})"
    return point["rule"] if value is None or point["rule"] == "f1" else f"{point['rule']} {value:{spec}}"


def rule_option(point: Mapping[str, Any]) -> str:
    """The rule of an operating point as an option takes it, "quantile:0.95" or "cost:miss=10,alarm=1"."""
    value = point["value"]
    shown = ",".join(f"{name}={part:g}" for name, part in value.items()) if isinstance(value, Mapping) else value
    return point["rule"] if value is None else f"{point['rule']}:{shown}"


def _share(figure: Mapping[str, Any], count: int, total: int, turned: bool = False) -> str:
    """ "(48 %, 95 % interval 44–51 %)" of a figure; ``turned`` for its complement."""
    low, high = figure.get("low"), figure.get("high")
    text = percent(count / total)
    if low is not None and high is not None:
        ends = [percent(end) for end in ((1 - high, 1 - low) if turned else (low, high))]
        level = re.match(r"[\d.]+ ?%", figure.get("interval") or "")
        name = f"{level[0].replace(' ', NBSP)} interval" if level else "interval"
        text += f", {name} {ends[0].removesuffix(NBSP + '%')}–{ends[1]}"
    return f"({text})"


def summary(evidence: Mapping[str, Any]) -> str:
    """The result in a sentence or two of plain words, from the counts of the 2 × 2 table."""
    image = evidence["image"]
    table = image["confusion"]
    if table is None:
        return (
            f"Decisions on the {image['images']} test images ({image['normal']} normal, {image['abnormal']} abnormal) "
            "are not known."
        )
    hits, alarms = table["true_positive"], table["false_positive"]
    abnormal, normal = hits + table["false_negative"], alarms + table["true_negative"]
    parts, missing = [], ""
    if abnormal:
        parts.append(f"{hits} of {abnormal} abnormal images {_share(image['sensitivity'], hits, abnormal)}")
    else:
        missing = " The test images hold no abnormal one: nothing can be said about what is missed."
    if normal:
        parts.append(f"{alarms} of {normal} normal images {_share(image['specificity'], alarms, normal, turned=True)}")
    else:
        missing = " The test images hold no normal one: nothing can be said about false alarms."
    if not parts:
        return "There were no test images: nothing can be said about this model."
    point = evidence.get("operating_point")
    asked = f" The threshold answers: “{point['question']}”" if point and point.get("question") else ""
    return f"Flags {' and '.join(parts)}.{missing}{asked}"
