"""Engines that a bundle is compared with: which are installed, and their options."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino as ov
from openvino.preprocess import PrePostProcessor, ResizeAlgorithm

from medanomaly.edge.bundle import GRAPH, ONNX, Bundle
from medanomaly.edge.bundle_graph import raw_outputs
from medanomaly.edge.detector import core
from medanomaly.speed import ENGINES, FOUND_BY
from medanomaly.speed.engine_process import Candidate, EngineError

#: Seconds that it runs for.
_SECONDS = 3


def candidates(
    bundle: Bundle, wanted: Sequence[str], folder: Path, anomalib: Path | None
) -> tuple[list[Candidate], dict[str, str]]:
    """What can be measured.

    Args:
        bundle: The bundle.
        wanted: Names of engines; ``benchmark_app`` is looked for.
        folder: For graphs that are made, and as working directories.
        anomalib: Folder of anomalib's own export of the network; see :func:`medanomaly.speed.measure.measure`.

    Returns:
        Candidates in the order wanted; and of the rest, by name, why they are missing.
    """
    able, missing = [], {}
    for name in wanted:
        try:
            if name == FOUND_BY:
                _app()
                continue
            for package in ENGINES[name]:
                if importlib.util.find_spec(package) is None:
                    raise EngineError(f"{package} is not installed")
            own = folder / name
            own.mkdir()
            able.append(Candidate(name, _spec(name, bundle, own, anomalib), own))
        except EngineError as error:
            missing[name] = str(error)
    return able, missing


def _spec(name: str, bundle: Bundle, own: Path, anomalib: Path | None) -> dict[str, Any]:
    if name == "onnxruntime":
        if not (bundle.path / ONNX).is_file():
            raise EngineError(f"the bundle has no {ONNX}; export it with --onnx")
        return {"engine": name, "bundle": str(bundle.path), "model": str(bundle.path / ONNX)}
    if name == "anomalib-torch":
        if anomalib is None:
            raise EngineError("needs anomalib's own export of the network; name it with --anomalib")
        return {"engine": name, "model": str(_exported(anomalib, "torch/model.pt"))}
    model = _exported(anomalib, "openvino/model.xml") if anomalib else _as_anomalib(bundle, own / "graph")
    config = {"INFERENCE_PRECISION_HINT": "f32"} if name.endswith("f32") else None
    return {"engine": "anomalib-openvino", "model": str(model), "config": config}


def _exported(folder: Path, name: str) -> Path:
    for path in (folder / "weights" / name, folder / name):
        if path.is_file():
            return path.absolute()
    raise EngineError(f"{folder} holds no weights/{name}")


def _as_anomalib(bundle: Bundle, folder: Path) -> Path:
    """The bundle's raw graph as anomalib exports one: images of any size (1, 3, H, W), resized inside."""
    if bundle.form.type != "float32":
        raise EngineError(f"the graph takes {bundle.form.type}, which anomalib's inferencer does not give")
    graph = raw_outputs(core().read_model(bundle.path / GRAPH))
    for output in list(graph.outputs):
        if "parts" in output.get_names():  # which it does not know
            graph.remove_result(output.get_node())
    for output, name in zip(graph.outputs, ("pred_score", "anomaly_map"), strict=False):
        output.get_tensor().set_names({name})
    steps = PrePostProcessor(graph)
    tensor = steps.input().tensor().set_element_type(ov.Type.f32).set_layout(ov.Layout("NCHW"))
    tensor.set_spatial_dynamic_shape()
    steps.input().model().set_layout(ov.Layout(bundle.form.layout))
    steps.input().preprocess().resize(ResizeAlgorithm.RESIZE_LINEAR)
    folder.mkdir()
    ov.save_model(steps.build(), folder / GRAPH, compress_to_fp16=False)
    return folder / GRAPH


def _app() -> str:
    beside = Path(sys.executable).with_name(FOUND_BY)
    found = str(beside) if beside.is_file() else shutil.which(FOUND_BY)
    if found is None:
        raise EngineError("is not installed; it comes with openvino")
    return found


def inferences_per_second(bundle: Bundle, folder: Path) -> float:
    """What ``benchmark_app`` makes of the bundle's graph, with its hint for throughput and in f32.

    Raises:
        EngineError: if it fails.
    """
    options = ["-hint", "throughput", "-infer_precision", "f32", "-t", str(_SECONDS), "-d", "CPU"]
    done = subprocess.run(
        [_app(), "-m", str(bundle.path / GRAPH), *options], capture_output=True, text=True, cwd=folder, check=False
    )
    found = re.findall(r"Throughput:\s*([0-9.]+)", done.stdout)
    if done.returncode or not found:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EngineError(f"failed ({lines[-1] if lines else f'exit status {done.returncode}'})")
    return float(found[-1])
