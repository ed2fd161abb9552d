"""Edit a bundle's graph: the decision inside it for other programs, raw scores for our own.

The graph's outputs are those that OpenVINO Model API, and so Model Server's clients, know from anomalib: score, label,
heat map and mask. They are computed from the tensors ``raw_score``, ``raw_map`` and ``parts`` inside, which the
:class:`~medanomaly.edge.Detector` takes instead. The operating point is a handful of constants in the graph, so that
``medanomaly decide`` can change them without torch.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from medanomaly.edge.bundle import CARD, GRAPH, ONNX, WEIGHTS, as_read
from medanomaly.files import sha256

#: Tensors inside the graph, and what graphs of layout 2 and before call them as their outputs.
RAW = {"raw_score": "pred_score", "raw_map": "anomaly_map", "parts": "parts"}

#: Tensor inside the graph of a model that reconstructs: its reconstruction before the sigmoid, (1, 3, h, w).
RECONSTRUCTION = "reconstruction_logits"

_ROOT = "medanomaly"
_PATH = [_ROOT, "card"]
#: Entries of the card that are made from the finished graph and so cannot lie in it.
_OF_FILES = ("files",)


def with_decision(graph: ov.Model, point: Mapping[str, Any]) -> ov.Model:
    """Add the decision.

    Args:
        graph: With the outputs ``pred_score`` (1,), ``anomaly_map`` (1, 1, H, W) if the model draws one and ``parts``
            if its score has several: raw ones; and ``reconstruction_logits`` (1, 3, h, w) if it reconstructs, which
            stays inside. It is used up.
        point: Record of the operating point.

    Returns:
        Graph with the outputs ``pred_score`` (1,) in (0, 1), 0.5 at the operating point, and ``pred_label`` (1,) of
        bool; with a map and a pixel threshold before them ``anomaly_map`` (1, 1, H, W) in (0, 1), 0.5 at that
        threshold, and ``pred_mask`` (1, 1, H, W) of bool.
    """
    raw = {name: source for name in RAW if (source := _source(graph, RAW[name])) is not None}
    if (logits := _source(graph, RECONSTRUCTION)) is not None:
        logits.set_names({RECONSTRUCTION})
    for name, source in raw.items():
        source.set_names({name})
    numbers = _numbers(point)

    def known(name: str) -> ov.Node:
        return ops.constant(numbers[name], name=f"{_ROOT}/{name}")

    score = _through(raw["raw_score"], raw.get("parts"))
    distance = ops.abs(ops.subtract(score, known("centre")))
    deciding = ops.select(known("two_sided"), distance, score)
    threshold = known("threshold")
    outputs = {
        "pred_score": _unit(deciding, threshold, known("scale")),
        "pred_label": ops.greater(deciding, threshold),
    }
    if "raw_map" in raw and point.get("pixel"):
        threshold = known("pixel_threshold")
        drawn = {
            "anomaly_map": _unit(raw["raw_map"], threshold, known("pixel_scale")),
            "pred_mask": ops.greater(raw["raw_map"], threshold),
        }
        outputs = drawn | outputs
    for name, node in outputs.items():
        node.output(0).set_names({name})
    ends = [ops.result(node, name=name) for name, node in outputs.items()]
    if "raw_map" in raw and "anomaly_map" not in outputs:
        ends.append(ops.result(raw["raw_map"], name="raw_map"))
    return ov.Model(ends, graph.get_parameters(), _ROOT)


def raw_outputs(graph: ov.Model) -> ov.Model:
    """The same graph with the raw tensors as its outputs, named as in layout 2; one of layout 2 as it is.

    Raises:
        RuntimeError: if OpenVINO cannot make it.
    """
    inside = _inside(graph, RAW)
    if "raw_score" not in inside:
        return graph
    return ov.Model([inside[name] for name in RAW if name in inside], graph.get_parameters(), _ROOT)


def reconstruction_output(graph: ov.Model) -> ov.Model | None:
    """The part of the graph that makes the reconstruction before its sigmoid (1, 3, h, w); None if there is none.

    Raises:
        RuntimeError: if OpenVINO cannot make it.
    """
    inside = _inside(graph, (RECONSTRUCTION,))
    return ov.Model([inside[RECONSTRUCTION]], graph.get_parameters(), _ROOT) if inside else None


def _inside(graph: ov.Model, names: Collection[str]) -> dict[str, ov.Output]:
    """Tensors of these names, but for the outputs of the graph."""
    return {
        name: output
        for op in graph.get_ordered_ops()
        if op.get_type_name() != "Result"
        for output in op.outputs()
        for name in output.get_names()
        if name in names
    }


def set_point(graph: ov.Model, point: Mapping[str, Any]) -> bool:
    """Write another operating point into the graph's constants; False if it has none, as one of layout 2.

    Raises:
        ValueError: if some of them are gone.
    """
    numbers, found = _numbers(point), _constants(graph)
    lacking = set(numbers) - set(found) - ({"pixel_threshold", "pixel_scale"} if not point.get("pixel") else set())
    if found and lacking:
        raise ValueError(f"the graph has no constant for {', '.join(sorted(lacking))}; export the bundle again")
    for name, old in found.items():
        new = ops.constant(numbers[name], name=f"{_ROOT}/{name}")
        for reader in old.output(0).get_target_inputs():
            reader.replace_source_output(new.output(0))
    return bool(found)


def same_point(graph: ov.Model, point: Mapping[str, Any]) -> bool:
    """Whether the graph decides by this operating point; True if it does not decide, as one of layout 2."""
    numbers = _numbers(point)
    return all(np.array_equal(constant.data, numbers[name]) for name, constant in _constants(graph).items())


def describe(graph: ov.Model, card: Mapping[str, Any]) -> None:
    """Write the card into the graph as ``medanomaly/card`` (JSON), and ``model_info`` for OpenVINO Model API.

    The card lies there without ``files``: a file cannot hold its own SHA-256.
    """
    graph.set_rt_info(json.dumps(_inner(card), ensure_ascii=True, allow_nan=False), _PATH)
    names = {name for output in graph.outputs for name in output.get_names()}
    if "pred_mask" not in names:
        return  # Model API serves no graph without a map
    height, width = card["reading"]["size"]
    info = {
        "model_type": "AnomalyDetection",
        "task": "segmentation",
        "labels": "normal abnormal",
        # Of the outputs as they are, which are in (0, 1) already: nothing is left to normalise.
        "image_threshold": "0.5",
        "pixel_threshold": "0.5",
        "normalization_scale": "1.0",
        # Model API would resize otherwise than medanomaly reads: it takes images of the model's size as they are.
        "embedded_processing": "True",
        "orig_height": str(height),
        "orig_width": str(width),
        "resize_type": "standard",
        "pad_value": "0",
        "reverse_input_channels": "False",
        "input_dtype": {"float32": "f32", "uint8": "u8", "uint16": "u16"}[card["input"]["type"]],
    }
    for name, value in info.items():
        graph.set_rt_info(value, ["model_info", name])


def card_of(graph: ov.Model) -> dict[str, Any] | None:
    """The card inside the graph; None if there is none, as in layout 2."""
    if not graph.has_rt_info(_PATH):
        return None
    card = json.loads(graph.get_rt_info(_PATH).astype(str))
    return card if isinstance(card, dict) else None


def same_card(inner: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    """Whether the card inside a graph is that of the bundle, both as they are read now."""
    return as_read(dict(inner)) == json.loads(json.dumps(_inner(card)))


def edited(graph: ov.Model, folder: Path, card: Mapping[str, Any]) -> str | None:
    """What is to be said of a card that is not the one that was sealed in its graph; None if it is, or none was."""
    try:
        inner = card_of(graph)
        if inner is None or same_card(inner, card):
            return None
    except (RuntimeError, ValueError, TypeError):
        pass
    return (
        f"{folder / CARD}: is not the card that was sealed in the bundle's graph: it was edited by hand. See "
        "`medanomaly verify`, and change the operating point by `medanomaly decide` alone."
    )


def seal(graph: ov.Model, folder: Path, card: dict[str, Any], more: Mapping[str, str] | None = None) -> None:
    """Write graph and card into a bundle's folder, over those that may be there.

    Args:
        graph: As :func:`with_decision` made it; may have been read from the folder.
        folder: The bundle.
        card: Goes into the graph too; its ``files`` are made anew.
        more: Texts of other files, by name, that are written with them.

    Raises:
        OSError: if the folder cannot be written to; what was there stays.
    """
    describe(graph, card)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".graph-") as temporary:
        # FP16 compression is save_model's default; weights stay f32 for parity.
        try:
            ov.save_model(graph, Path(temporary) / GRAPH, compress_to_fp16=False)
        except RuntimeError as error:  # OpenVINO's, for a full disk too
            raise OSError(errno.EIO, str(error), str(folder / GRAPH)) from error
        card["files"] = {name: sha256(Path(temporary) / name) for name in (GRAPH, WEIGHTS)}
        if (folder / ONNX).is_file():
            card["files"][ONNX] = sha256(folder / ONNX)
        texts = {CARD: json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n", **(more or {})}
        for name, text in texts.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        # Renamed, because the old ones may be mapped into memory. A kill in between leaves what opening refuses.
        for name in (WEIGHTS, GRAPH, *texts):
            os.replace(Path(temporary) / name, folder / name)  # noqa: PTH105 (atomic, also over an existing file)


def _inner(card: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in card.items() if key not in _OF_FILES}


def _numbers(point: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The constants of an operating point, by name."""
    centre, pixel = point.get("centre"), point.get("pixel")
    return {
        "threshold": np.array([point["threshold"]], np.float32),
        "scale": np.array([point["scale"]], np.float32),
        "centre": np.array([0.0 if centre is None else centre], np.float32),
        "two_sided": np.array([centre is not None]),
        "pixel_threshold": np.array([pixel["threshold"] if pixel else np.nan], np.float32),
        "pixel_scale": np.array([pixel["scale"] if pixel else 1.0], np.float32),
    }


def _constants(graph: ov.Model) -> dict[str, ov.Node]:
    found = {}
    for op in graph.get_ops():
        root, _, name = op.get_friendly_name().partition("/")
        if root == _ROOT and op.get_type_name() == "Constant":
            found[name] = op
    return found


def _source(graph: ov.Model, name: str) -> ov.Output | None:
    found = [output for output in graph.outputs if name in output.get_names()]
    return found[0].get_node().input_value(0) if found else None


def _through(score: ov.Output, parts: ov.Output | None) -> ov.Output:
    """Route the score through the parts: OpenVINO drops nodes without an output, and Model API allows four outputs."""
    if parts is None:
        return score
    row = ops.concat([ops.reshape(score, ops.constant(np.array([1, 1])), False), parts], 1)
    return ops.gather(row, ops.constant(np.array(0)), ops.constant(np.array(1))).output(0)


def _unit(raw: Any, threshold: ov.Node, scale: ov.Node) -> ov.Node:
    """:func:`medanomaly.decision.score.to_unit` in the graph, with both parts of its fraction multiplied by the scale.

    A division by a constant would be written as a product with another one, which nobody finds again.
    """
    half = ops.constant(np.array([0.5], np.float32))
    distance = ops.subtract(raw, threshold)
    return ops.add(half, ops.divide(ops.multiply(half, distance), ops.add(scale, ops.abs(distance))))
