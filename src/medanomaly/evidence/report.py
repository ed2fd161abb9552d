"""The evidence of one run as a page for people: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from medanomaly.evidence import charts
from medanomaly.imaging import outline, overlay

_NBSP = "\u00a0"
#: Bytes that all pictures of a page may take at worst, as base64 of noise that PNG cannot shrink.
_PICTURE_BUDGET = 8_500_000
_SHOWN = 160  # pixels of the page along the longer side of a picture
_SIDES = (64, 2 * _SHOWN)

#: Kinds of cases that the page always names, even where there is none; others follow.
KINDS = ("false alarm", "miss", "hit")


@dataclass(frozen=True)
class Case:
    """One picture row of the report."""

    kind: str  #: "false alarm" | "miss" | "hit" | "borderline"
    path: str  #: path of the image; its file name is shown, the whole path is in the title attribute
    label: str  #: name of the class, such as "normal" or "bleeding"
    raw_score: float  #: in the unit of the model
    score: float  #: in (0, 1), 0.5 at the operating point
    decision: bool  #: True where the image is flagged as abnormal
    image: np.ndarray  #: (H, W, 3) float32 in [0, 1], RGB
    heat: np.ndarray | None  #: (H, W) float32 in (0, 1), 0.5 at the pixel threshold
    mask: np.ndarray | None  #: (H, W) bool, the truth where it is known; one that marks nothing is not shown


def number(value: float | None, digits: int = 3) -> str:
    """A figure with fixed decimals; "undefined" for None, NaN and infinity, never 0."""
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A proportion in [0, 1] as per cent; one that is not exactly 0 or 1 never reads as 0 or 100."""
    if value is None or not math.isfinite(value):
        return "undefined"
    for places in range(digits, 3):
        text = f"{100 * value:.{places}f}"
        if float(text) not in (0, 100) or value in (0, 1):
            return text + _NBSP + "%"
    return ("< 0.01" if value < 0.5 else "> 99.99").replace(" ", _NBSP) + _NBSP + "%"


def raw(value: float | None) -> str:
    """A raw score with four significant digits."""
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.4g}"


def plain(value: Any) -> str:
    """A setting in words: a name as it is, a list separated by commas, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or "none"
    if isinstance(value, Sequence) and all(isinstance(entry, (str, int, float)) for entry in value):
        return ", ".join(str(entry) for entry in value)
    return json.dumps(value, ensure_ascii=False, default=str)


def moment(text: str) -> str:
    """An ISO date and time as "21 November 2026, 05:40 UTC"; text of any other form stays as it is."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return f"{when.day} {when:%B %Y, %H:%M} {when.tzname() or ''}".strip()


def _share(figure: Mapping[str, Any], count: int, total: int, turned: bool = False) -> str:
    """ "(48 %, 95 % interval 44–51 %)" of a figure; ``turned`` for its complement."""
    low, high = figure.get("low"), figure.get("high")
    text = percent(count / total)
    if low is not None and high is not None:
        ends = [percent(end) for end in ((1 - high, 1 - low) if turned else (low, high))]
        level = re.match(r"[\d.]+ ?%", figure.get("interval") or "")
        name = f"{level[0].replace(' ', _NBSP)} interval" if level else "interval"
        text += f", {name} {ends[0].removesuffix(_NBSP + '%')}–{ends[1]}"
    return f"({text})"


def summary(evidence: Mapping[str, Any]) -> str:
    """The result in a sentence or two of plain words, from the counts of the 2 × 2 table."""
    image = evidence["image"]
    table = image["confusion"]
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
    point = evidence["operating_point"]
    asked = f" The threshold answers: “{point['question']}”" if point else ""
    return f"Flags {' and '.join(parts)}.{missing}{asked}"


def _uri(picture: np.ndarray) -> str:
    """An (H, W, 3) uint8 RGB picture as PNG in a data URI."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[:, :, ::-1]))
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of shape {picture.shape}")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _fit(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (H, W) or (H, W, 3) array as finite float32, resized to ``size`` = (width, height) where that differs."""
    array = np.nan_to_num(np.asarray(array, dtype=np.float32))
    shrinks = size[0] < array.shape[1]
    same = size == (array.shape[1], array.shape[0])
    return array if same else cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _panels(case: Case, side: int) -> list[dict[str, Any]]:
    """Image, heat map and outline of a case, none of them longer than ``side`` pixels."""
    height, width = case.image.shape[:2]
    factor = min(1.0, side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = _fit(case.image, size)
    shown = [("image", np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))]
    if case.heat is not None:
        shown.append(("heat map", overlay(image, _fit(case.heat, size))))
    if case.mask is not None and case.mask.any():
        mask = _fit(case.mask, size) > 0
        picture = outline(image, mask)
        if max(size) > _SHOWN:  # it will be scaled down: a second line outside the first keeps the outline visible
            wider = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            picture = outline(picture.astype(np.float32) / 255, wider)
        shown.append(("truth outline", picture))
    return [{"name": name, "uri": _uri(picture), "width": size[0], "height": size[1], "small": max(size) < _SHOWN}
            for name, picture in shown]  # fmt: skip


def _galleries(cases: Sequence[Case]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Cases with their pictures by kind, in the order of the page; [] without cases."""
    panels = sum(1 + (case.heat is not None) + (case.mask is not None) for case in cases)
    side = int(np.clip(math.sqrt(_PICTURE_BUDGET / (4 * max(panels, 1))), *_SIDES))
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS} if cases else {}
    for case in cases:
        name = PurePath(case.path).name or case.path
        rows.setdefault(case.kind, []).append({"case": case, "name": name, "panels": _panels(case, side)})
    return list(rows.items())


def render(evidence: Mapping[str, Any], scores: np.ndarray, abnormal: np.ndarray, cases: Sequence[Case]) -> str:
    """The whole page as one self-contained HTML string.

    Args:
        evidence: the figures of a run, schema 1. Any value may be None (undefined), and "pixel" as a whole.
        scores: (n,) float, raw scores of the test images; for a two-sided rule their distances from its centre.
        abnormal: (n,) bool, their truth.
        cases: picture rows, shown by kind and otherwise in the given order. Pictures are scaled down to at most 320
            pixels a side, and further where there are many, so that together they stay below 8.5 MB.
    """
    point, auroc = evidence["operating_point"] or {}, evidence["image"]["auroc"]
    threshold, name = point.get("threshold"), "raw score" if point.get("centre") is None else "distance of raw score"
    low, high = auroc.get("low"), auroc.get("high")
    span = "" if low is None or high is None else f" ({number(low)} – {number(high)})"
    curve = charts.roc(scores, abnormal, threshold, f"AUROC {number(auroc.get('value'))}{span}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, raw=raw, plain=plain, moment=moment)
    return environment.get_template("report.html.j2").render(
        evidence=evidence,
        summary=summary(evidence),
        caveats=sorted(evidence["caveats"], key=lambda caveat: caveat["severity"] != "warning"),
        histogram=Markup(charts.score_histogram(scores, abnormal, threshold, name)),
        curve=None if curve is None else Markup(curve),
        galleries=_galleries(cases),
    )
