"""What the tests of the report share: a page as a reader sees it, an evidence record, a case."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np

from medanomaly.report.pictures import Case

NORMAL, ABNORMAL = 60, 140
BOOTSTRAP = "95 % bootstrap by group, 1000 draws"
KINDS = ("false alarm", "miss", "hit", "borderline")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Every tag with its attributes, the text a reader sees, and whether tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words).replace("\u00a0", " "))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open[-1:]:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def figure(value: float | None, **more: Any) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "interval": BOOTSTRAP, **more}
    return {"value": value, "low": value - 0.0312, "high": value + 0.0223, "interval": BOOTSTRAP, **more}


def evidence_record() -> dict[str, Any]:
    return {
        "schema": 1,
        "created": "2026-11-21T05:40:00+00:00",
        "run": {
            "model": "Autoencoder",
            "data": "WirelessCapsule",
            "model_class": "medanomaly_autoencoder.lightning_model.Autoencoder",
            "options": {"width": 37, "loss": "mse"},
            "data_options": {"field_of_view": "crop:0.67"},
            "seed": 4242,
            "epochs": 31,
            "versions": {"medanomaly": "0.1.0", "anomalib": "2.7.9"},
        },
        "data": {
            "counts": [
                {"split": "train", "label": "healthy", "normal": True, "images": 665, "groups": 601},
                {"split": "test", "label": "ulcer", "normal": False, "images": 834, "groups": None},
            ],
            "groups_known": True,
            "split_sha256": "ab12" * 16,
            "reading": {"size": [64, 96], "intensity": "dtype"},
        },
        "operating_point": {
            "rule": "quantile",
            "value": 0.95,
            "question": "Of 100 healthy images, let about 5 be flagged.",
            "threshold": 0.00312,
            "fitted_on": {"normal": 211, "abnormal": 286},
            "pixel": {"rule": "quantile", "value": 0.99, "threshold": 0.02173},
        },
        "image": {
            "images": 200,
            "normal": NORMAL,
            "abnormal": ABNORMAL,
            "prevalence": 0.7,
            "auroc": figure(0.7312),
            "average_precision": figure(0.9124),
            "sensitivity": {"value": 0.5, "low": 0.418, "high": 0.582, "interval": "95 % Wilson", "count": [70, 140]},
            "specificity": {"value": 0.95, "low": 0.863, "high": 0.983, "interval": "95 % Wilson", "count": [57, 60]},
            "precision": {"value": 0.9589, "low": 0.886, "high": 0.986, "interval": "95 % Wilson", "count": [70, 73]},
            "f1": figure(0.6573),
            "confusion": {"true_positive": 70, "false_positive": 3, "false_negative": 70, "true_negative": 57},
        },
        "pixel": {
            "images": 200,
            "with_mask": 139,
            "auroc": figure(0.8416),
            "aupro": figure(0.4321),
            "mask_note": "Masks are ellipses.",
        },
        "caveats": [
            {"severity": "note", "title": "Few groups", "text": "Only 19 groups set the threshold."},
            {"severity": "warning", "title": "The score is inverted", "text": "Normal images score higher & more."},
        ],
        "skipped": [],
    }


def make_case(kind: str = "hit", size: int = 32, **more: Any) -> Case:
    image = np.random.default_rng(1).random((size, size, 3), dtype=np.float32)
    square = np.zeros((size, size), bool)
    square[size // 4 : size // 2, size // 4 : size // 2] = True
    settings: dict[str, Any] = {
        "kind": kind,
        "path": f"/data/test/{kind}.png",
        "label": "bleeding",
        "raw_score": 0.012361,
        "score": 0.8127,
        "decision": True,
        "image": image,
        "heat": np.full((size, size), 0.3, np.float32),
        "mask": square,
    }
    return Case(**{**settings, **more})


def pictures(text: str) -> list[np.ndarray]:
    """The pictures of a page, RGB."""
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1] for data in found]
