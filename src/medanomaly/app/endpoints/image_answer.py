"""Answer for one image: all that stands beside its picture, at one operating point."""

from __future__ import annotations

from typing import Any

import numpy as np

from medanomaly.app.operating_curve import Curve, Point
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import Mark, Marks
from medanomaly.app.session.marking import others_marks
from medanomaly.app.session.sessions import Session
from medanomaly.app.session.worklist import Item
from medanomaly.app.session.worklist_rows import decisions
from medanomaly.app.viewer.scored_view import ScoredView
from medanomaly.app.viewer.video_segments import Segment, clock, segments, thinned
from medanomaly.metrics import formatting

_BINS = 30
#: So many segments are listed; the most suspicious ones.
_LISTED = 12


def facts(
    session: Session, bundle: int, loaded: LoadedBundle, point: Point, reader: str | None, item: Item
) -> dict[str, Any]:
    """What the page shows of an image beside its picture.

    Args:
        session: The session.
        bundle: Number of the bundle in use.
        loaded: That bundle.
        point: The operating point; all figures are of it.
        reader: Whose mark it is, and who sees others' once it is saved; None sees no mark.
        item: The image.

    Returns:
        ``number``, ``sha256``, ``name``, ``threshold`` and ``bundle``, by which a mark says what it was made on; the
        words and figures; ``picture`` with size and outline; ``own`` and ``others`` as :func:`marks_of` gives them;
        ``video`` for a frame.

    Raises:
        ImageError: if the image cannot be read any more.
    """
    marks, _ = session.sessions.marking.of_bundle(loaded.hash)
    frames = _frames(session, bundle, item)
    answer: dict[str, Any] = {
        "number": item.number,
        "row": frames[0].number if frames else item.number,
        "sha256": item.file.sha256,
        "name": item.name,
        "bundle": loaded.hash,
        "threshold": float(point.decider.threshold),
        "kind": item.file.kind.name,
        "error": "",
    }
    if item.raw_score is None:
        return {**answer, "error": item.error, **marks_of(marks, item, reader)}
    view = session.sessions.views.view(loaded, item)
    values = session.sessions.views.values(item)
    abnormal = bool(point.decider.abnormal(item.raw_score))
    score = float(point.decider.score(item.raw_score))
    decision = "abnormal" if abnormal else "normal"
    shown = "" if view.layers.marked is None else f", {view.layers.marked:.1%} of it marked"
    picture = {
        "height": view.layers.shape[0],
        "width": view.layers.shape[1],
        "native": view.result.original_size,
        "heat": view.layers.heat is not None,
        "path": view.layers.path,
        "alt": f"{item.name}: {decision}, score {score:.3f}{shown}",
        "again": view.again,
        "input": view.result.image.shape[:2],
        "reconstruction": loaded.reconstructor is not None,
    }
    if values is not None:
        low, high = values.middle
        picture["window"] = {
            "low": values.low,
            "high": values.high,
            "full": [(values.low + values.high) / 2, max(values.high - values.low, 1e-6)],
            "percentiles": [(low + high) / 2, max(high - low, 1e-6)],
            "filled": values.filled,
        }
    curve = loaded.curve if isinstance(loaded.curve, Curve) else None
    return {
        **answer,
        "decision": decision,
        "badge": f"{decision} · {score:.3f}",
        "moved": point.moved,
        "figures": _figures(loaded, point, item, view),
        "among": among(curve, item.raw_score) if curve else "",
        "chart": _chart(curve, point, item.raw_score) if curve else None,
        "picture": picture,
        "seen": _seen(loaded, view),
        "video": _video(frames, item, point, marks, reader) if frames else None,
        **marks_of(marks, item, reader),
    }


def marks_of(marks: Marks, item: Item, reader: str | None) -> dict[str, Any]:
    """The marks on an image that a reader may see: ``own``, and those of ``others`` once his own is saved."""
    by = marks.get((item.name, item.file.sha256)) or {}
    mine = None if reader is None else by.get(reader)
    return {
        "own": {"mark": mine.mark, "note": mine.note} if mine else {"mark": None, "note": ""},
        "others": others_marks(by, reader),
    }


def _frames(session: Session, bundle: int, item: Item) -> list[Item]:
    if item.frame is None:
        return []
    return [one for one in list(session.worklist(bundle).items) if one.frame is not None and one.file is item.file]


def _figures(loaded: LoadedBundle, point: Point, item: Item, view: ScoredView) -> list[list[str]]:
    raw = item.raw_score
    assert raw is not None
    p_value = loaded.p_value(raw)
    limit = formatting.raw(float(point.decider.threshold))
    found = [
        ["Raw score", formatting.raw(raw), f"The model's own score; above {limit} is flagged."],
        ["Score", f"{float(point.decider.score(raw)):.3f}", "Between 0 and 1; 0.5 at the operating point."],
        [
            "p-value",
            "–" if p_value is None else formatting.chance(p_value),
            "How often a known normal image is at least as unusual. Not the probability of disease.",
        ],
    ]
    if view.layers.marked is not None:
        found.append(
            ["Marked area", formatting.percent(view.layers.marked, 1), "Share of the image inside the outline."]
        )
    return found + [
        [name.capitalize(), formatting.raw(value), "A part of the raw score."] for name, value in item.parts.items()
    ]


def among(curve: Curve, raw: float) -> str:
    """Where a raw score lies among the normal validation images, in words."""
    below = int((curve.normal < np.float32(curve.decider.ranking_score(raw))).sum())
    return f"Higher than {below} of {len(curve.normal)} known normal images (validation)."


def _chart(curve: Curve, point: Point, raw: float) -> dict[str, Any]:
    """The ranking scores of validation images in bars, with the operating point and the image among them."""
    scores = np.concatenate([curve.normal, curve.abnormal])
    low, high = float(scores.min()), float(np.quantile(scores, 0.99))
    edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)
    # What lies beyond the last edge is counted in the last bar.
    bars = {
        name: (np.histogram(np.minimum(part, edges[-1]), edges)[0] / max(len(part), 1)).tolist()
        for name, part in (("normal", curve.normal), ("abnormal", curve.abnormal))
        if len(part)
    }
    return {
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "ends": [formatting.raw(float(edges[0])), formatting.raw(float(edges[-1]))],
        "bars": bars,
        "point": float(point.decider.threshold),
        "image": float(curve.decider.ranking_score(raw)),
    }


def _seen(loaded: LoadedBundle, view: ScoredView) -> str:
    height, width = view.result.image.shape[:2]
    reading = loaded.bundle.reading
    return (
        f"{width} × {height} pixels, intensity {reading.intensity}, field of view {reading.field_of_view}, "
        f"colour {reading.colour}."
    )


def _video(frames: list[Item], item: Item, point: Point, marks: Marks, reader: str | None) -> dict[str, Any]:
    found = segments(frames, point)
    known = decisions(frames, point)
    flagged = sum(one.abnormal for one in known.values())
    failed = sum(frame.raw_score is None for frame in frames)
    end = max((frame.time or 0.0 for frame in frames), default=0.0)
    listed = sorted(found, key=lambda one: -known[one.peak.number].ranking_score)[:_LISTED]
    several = "1 suspicious segment" if len(found) == 1 else f"{len(found)} suspicious segments"
    lost = f"; {failed} frames could not be read" if failed else ""
    own = [(frame, _own(marks, frame, reader)) for frame in frames]
    scored = [frame for frame in frames if frame.raw_score is not None]
    before = [frame.number for frame in scored if (frame.frame or 0) < (item.frame or 0)]
    after = [frame.number for frame in scored if (frame.frame or 0) > (item.frame or 0)]
    within = next((one for one in found if (one.first.frame or 0) <= (item.frame or 0) <= (one.last.frame or 0)), None)
    return {
        "points": [
            [one.number, one.time or 0.0, round(known[one.number].score or 0.0, 4), known[one.number].abnormal]
            for one in thinned(frames, point)
        ],
        "segments": [[one.first.time or 0.0, one.last.time or 0.0] for one in found],
        "listed": [[one.peak.number, text(one)] for one in sorted(listed, key=lambda one: one.first.frame or 0)],
        "peaks": [one.peak.number for one in found],
        "within": [] if within is None else _numbers(frames, within),
        "previous": before[-1] if before else None,
        "next": after[0] if after else None,
        "marks": [[frame.number, frame.time or 0.0, mark.mark] for frame, mark in own if mark and mark.mark],
        "end": end,
        "now": item.time or 0.0,
        "clock": clock(item.time),
        "ticks": [[end * quarter / 4, clock(end * quarter / 4)] for quarter in range(5)],
        "alt": f"Scores over {clock(end)}: {flagged} of {len(frames)} frames flagged",
        "said": f"{several}, {flagged} of {len(frames)} frames flagged{lost}. "
        f"Shown: frame {item.frame} at {clock(item.time)}.",
    }


def _own(marks: Marks, frame: Item, reader: str | None) -> Mark | None:
    return None if reader is None else (marks.get((frame.name, frame.file.sha256)) or {}).get(reader)


def _numbers(frames: list[Item], segment: Segment) -> list[int]:
    first, last = segment.first.frame or 0, segment.last.frame or 0
    return [one.number for one in frames if first <= (one.frame or 0) <= last and one.raw_score is not None]


def text(one: Segment) -> str:
    """A segment in words."""
    span = clock(one.first.time) if one.first is one.last else f"{clock(one.first.time)}–{clock(one.last.time)}"
    return f"{span} · {one.flagged} {'frame' if one.flagged == 1 else 'frames'}"
