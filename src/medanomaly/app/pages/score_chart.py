"""Draw the validation scores as a chart."""

from __future__ import annotations

from typing import Any

import numpy as np

from medanomaly import palette
from medanomaly.app.operating_curve import Curve, Point

_BINS = 30


def distribution(curve: Curve, point: Point) -> dict[str, Any]:
    """A Vega-Lite chart of the ranking scores of validation images, with the threshold."""
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
    marks = {"operating point": float(point.decider.threshold)}
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
                              "scale": {"domain": ["normal", "abnormal"], "range": [palette.NORMAL, palette.ABNORMAL]}},
                },
            },
            {
                "data": {"values": lines},
                "mark": {"type": "rule", "size": 2, "color": "#808080"},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative"},
                    "strokeDash": {"field": "what", "type": "nominal", "title": None, "legend": {"orient": "top"},
                                   "scale": {"domain": list(marks), "range": [[5, 4]]}},
                },
            },
        ],
    }  # fmt: skip
