"""The speed of a bundle: what is reported, and what is said of what is not there. Speeds themselves are not judged."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from tests.conftest import write_image

from medanomaly.edge import Bundle
from medanomaly.speed import engines
from medanomaly.speed.engine_process import Candidate, EngineError, Worker
from medanomaly.speed.measure import measure, percentile


@pytest.fixture(scope="module")
def record(drawn_bundle, tmp_path_factory) -> dict:
    return measure(
        drawn_bundle, [drawn(tmp_path_factory.mktemp("drawn"))], repeat=2, limit=12, against=["anomalib-torch"]
    )


def drawn(folder: Path) -> Path:
    for i in range(20):
        write_image(folder / f"{i:02d}.png", np.full((20, 24, 3), 10 * i, np.uint8))
    return folder


def test_figures_are_sane(record):
    ours = record["ours"]
    assert record["images"] == 12
    assert 0 < ours["latency"]["p50"] <= ours["latency"]["p95"] <= ours["latency"]["p99"]
    assert ours["images_per_second"] > 0
    assert ours["cold_start"]["again"] > 0
    assert ours["cold_start"]["first"] > 0
    assert set(ours["cpu_parts"]) == {"decode", "infer", "post"}
    assert sum(ours["cpu_parts"].values()) > 0
    assert ours["peak_bytes"] is None or ours["peak_bytes"] > 10 * 2**20
    assert record["bound"]["images_per_second"] > 0
    assert record["bound"]["ratio"] > 0
    json.dumps(record, allow_nan=False)


def test_what_cannot_be_had_is_missing_with_its_reason(record):
    assert set(record["against"]) == {"anomalib-torch"}
    assert "missing" in record["against"]["anomalib-torch"]


def test_an_engine_that_is_not_installed_or_has_no_model_is_missing(drawn_bundle, greys, monkeypatch, tmp_path):
    bundle, real = Bundle.open(drawn_bundle), importlib.util.find_spec
    able, missing = engines.candidates(bundle, ["onnxruntime"], tmp_path, None)
    assert not able
    assert "model.onnx" in missing["onnxruntime"] or "not installed" in missing["onnxruntime"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "anomalib" else real(name))
    able, missing = engines.candidates(bundle, ["anomalib-openvino"], tmp_path, None)
    assert (able, missing) == ([], {"anomalib-openvino": "anomalib is not installed"})


def test_the_graph_handed_to_anomalib_takes_images_of_any_size_and_scores_them_alike(drawn_bundle, tmp_path):
    graph = engines._as_anomalib(Bundle.open(drawn_bundle), tmp_path / "graph")
    compiled = ov.Core().compile_model(graph, "CPU")
    for shape in ((1, 3, 16, 16), (1, 3, 40, 24)):
        found = compiled({0: np.full(shape, 0.25, np.float32)})
        assert found["pred_score"] == pytest.approx(0.25, abs=1e-5)
        assert found["anomaly_map"].shape[-2:] == (16, 16)


def test_an_engine_that_fails_says_why(drawn_bundle, greys, tmp_path):
    spec = {"engine": "ours", "bundle": str(drawn_bundle), "hint": "latency"}
    with pytest.raises(EngineError, match="does not exist"):
        Worker(Candidate("ours", spec, tmp_path), str(tmp_path / "none.png"))
    with Worker(Candidate("ours", spec, tmp_path), greys[3]) as worker:
        assert worker.first_score == pytest.approx(30 / 255)
        done = worker.ask("stream", greys)
        assert done["sum"] == pytest.approx(worker.ask("each", greys)["sum"])
        with pytest.raises(EngineError, match="does not exist"):
            worker.ask("stream", [greys[0], str(tmp_path / "none.png")])


def test_percentiles_are_values():
    assert [percentile([3, 1, 2, 4], share) for share in (50, 95, 100)] == [2, 4, 4]


def test_measuring_needs_no_torch():
    code = "import sys, medanomaly.commands.speed, medanomaly.speed.measure; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
