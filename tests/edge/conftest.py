"""A bundle without a model behind it: its score is the mean of the image, so that tests know every score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from tests.conftest import write_image

from medanomaly.edge.bundle import FORMAT, GRAPH, SCHEMA, WEIGHTS, Bundle
from medanomaly.files import sha256

SIZE = 16


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """The compile cache of the person who runs the tests stays as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def draw_bundle(folder: Path, reading: dict | None = None) -> Path:
    """Score: the image's mean. Map: each pixel's mean. Abnormal, and marked, above 0.5."""
    folder.mkdir()
    image = ops.parameter([1, 3, SIZE, SIZE], np.float32, name="input")
    one = ops.constant(np.ones((3, 3, 1, 1), np.float32) / 3)
    mixed = ops.convolution(image, one, [1, 1], [0, 0], [0, 0], [1, 1])
    heat = ops.reduce_mean(mixed, ops.constant(np.array([1])), keep_dims=True)
    score = ops.reduce_mean(heat, ops.constant(np.array([1, 2, 3])), keep_dims=False)
    heat.output(0).set_names({"anomaly_map"})
    score.output(0).set_names({"pred_score"})
    ov.save_model(ov.Model([score, heat], [image]), folder / GRAPH, compress_to_fp16=False)
    point = {"rule": "manual", "value": 0.5, "threshold": 0.5, "scale": 0.1}
    card = {
        "format": FORMAT,
        "schema": SCHEMA,
        "reading": {"size": [SIZE, SIZE], **(reading or {})},
        "operating_point": {**point, "pixel": point},
        "parts": [],
        "precision": "f32",
        "files": {name: sha256(folder / name) for name in (GRAPH, WEIGHTS)},
    }
    (folder / "card.json").write_text(json.dumps(card))
    from medanomaly.edge import Detector
    from medanomaly.edge.self_test import record

    card["self_test"] = record(Detector(Bundle.open(folder), cache=False))
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def drawn_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_bundle(tmp_path_factory.mktemp("drawn") / "bundle")


@pytest.fixture
def greys(tmp_path: Path) -> list[str]:
    """24 images, of grey 0, 10, 20 and so on: those from 130 on are abnormal."""
    return [
        str(write_image(tmp_path / "greys" / f"{i:02d}.png", np.full((20, 24, 3), 10 * i, np.uint8))) for i in range(24)
    ]


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_bytes().splitlines()]
