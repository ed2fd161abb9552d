"""What the model says of an image, and where that lies among the known normals."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from medanomaly.app.looks import Look
from medanomaly.app.operating import Curve, Point
from medanomaly.app.state import Page
from medanomaly.app.worklist import Item
from medanomaly.evidence import wording

#: Okabe and Ito's blue and vermilion, apart in every common colour blindness.
NORMAL_COLOUR, ABNORMAL_COLOUR = "#0072B2", "#D55E00"
_BINS = 30


def show_scores(page: Page, item: Item, look: Look) -> None:
    """Show raw score, score, p-value and parts."""
    raw, point = item.raw_score, page.point
    assert raw is not None
    p_value = page.loaded.p_value(raw)
    said = [
        ("Raw score", wording.raw(raw), f"The model's own score; above {wording.raw(_limit(point))} is flagged."),
        ("Score", f"{float(point.decider.score(raw)):.3f}", "Between 0 and 1; 0.5 at the operating point."),
        (
            "p-value",
            "–" if p_value is None else wording.chance(p_value),
            "How often a known normal image is at least as unusual. Not the probability of disease.",
        ),
    ]
    if look.layers.marked is not None:
        said.append(("Marked area", wording.percent(look.layers.marked, 1), "Share of the image inside the outline."))
    said += [(name.capitalize(), wording.raw(value), "A part of the raw score.") for name, value in item.parts.items()]
    for column, (label, value, text) in zip(st.columns(len(said)), said, strict=True):
        column.metric(label, value, help=text)
    if page.curve is not None:
        st.caption(among(page.curve, raw))
        with st.expander("Among the known images"):
            st.vega_lite_chart(spec=distribution(page.curve, point, raw), width="stretch")


def _limit(point: Point) -> float:
    return float(point.decider.threshold)


def among(curve: Curve, raw: float) -> str:
    """Where a raw score lies among the normal validation images, in words."""
    below = int((curve.normal < np.float32(curve.decider.deciding(raw))).sum())
    return f"Higher than {below} of {len(curve.normal)} known normal images (validation)."


def distribution(curve: Curve, point: Point, raw: float | None = None) -> dict[str, Any]:
    """A Vega-Lite chart of the deciding scores of validation images, with the threshold and an image's place."""
    scores = np.concatenate([curve.normal, curve.abnormal])
    low, high = float(scores.min()), float(np.quantile(scores, 0.99))
    edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)
    bars = []
    for name, part in (("normal", curve.normal), ("abnormal", curve.abnormal)):
        # What lies beyond the last edge is counted in the last bar.
        counted, _ = np.histogram(np.minimum(part, edges[-1]), edges)
        bars += [
            {"from": float(edges[i]), "to": float(edges[i + 1]), "share": float(n / len(part)), "images": name}
            for i, n in enumerate(counted)
            if n
        ]
    marks = {"operating point": _limit(point)}
    if raw is not None:
        marks["this image"] = float(curve.decider.deciding(raw))
    lines = [{"x": float(np.clip(x, edges[0], edges[-1])), "what": what} for what, x in marks.items()]
    return {
        "height": 230,
        "layer": [
            {
                "data": {"values": bars},
                "mark": {"type": "rect", "opacity": 0.65},
                "encoding": {
                    "x": {"field": "from", "type": "quantitative", "title": "raw score", "scale": {"zero": False}},
                    "x2": {"field": "to"},
                    "y": {"field": "share", "type": "quantitative", "stack": None, "title": "share of images",
                          "axis": {"format": "%"}},
                    "y2": {"datum": 0},
                    "color": {"field": "images", "type": "nominal", "title": None, "legend": {"orient": "top"},
                              "scale": {"domain": ["normal", "abnormal"], "range": [NORMAL_COLOUR, ABNORMAL_COLOUR]}},
                },
            },
            {
                "data": {"values": lines},
                "mark": {"type": "rule", "size": 2, "color": "#808080"},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative"},
                    "strokeDash": {"field": "what", "type": "nominal", "title": None, "legend": {"orient": "top"},
                                   "scale": {"domain": list(marks), "range": [[5, 4], [1, 0]][: len(marks)]}},
                },
            },
        ],
    }  # fmt: skip
