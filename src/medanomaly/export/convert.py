"""Convert a torch model to ONNX and to OpenVINO graphs: the raw one, and the one that a bundle holds."""

from __future__ import annotations

import logging
import re
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from openvino.preprocess import PrePostProcessor

from medanomaly.edge.bundle_graph import RECONSTRUCTION, with_decision
from medanomaly.edge.input_spec import TYPES, InputSpec
from medanomaly.errors import MedAnomalyError
from medanomaly.export.privacy import strip_traces
from medanomaly.models.module import part_names
from medanomaly.models.reconstruction import reconstruction_of
from medanomaly.options import one_line

#: torch.export traces one model at a time in a process, and fails where two threads ask.
_TRACING = threading.Lock()


class GraphError(MedAnomalyError, ValueError):
    """No graph can be made of a model. The message says what in it stands in the way."""


class _Raw(torch.nn.Module):
    """The graph that is exported: raw score; raw map, the score's parts and the reconstruction, where there are any."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.parts, self.mark = model, part_names(model), reconstruction_of(model)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen: list[torch.Tensor] = []
        hook = self.mark and self.mark.register_forward_hook(lambda _module, _args, logits: seen.append(logits))
        try:
            scored, *parts = self.model.scored(image) if self.parts else (self.model(image),)  # type: ignore[operator]
        finally:
            if hook:
                hook.remove()
        outputs = (scored.pred_score, scored.anomaly_map, *parts, *seen)
        return tuple(out.float() for out in outputs if out is not None)  # whatever the model computes in


def to_onnx(model: torch.nn.Module, size: tuple[int, int], file: Path) -> list[str]:
    """Write a torch model as one ONNX file of fixed input size.

    Args:
        model: Returns ``InferenceBatch`` in evaluation mode, and has ``scored`` if it has ``part_names``.
        size: Height and width in pixels.
        file: The file. Its input is ``input`` (1, 3, H, W) float32 in [0, 1].

    Returns:
        Names of its outputs: ``pred_score`` (1,), ``anomaly_map`` (1, 1, H, W), ``parts`` (1, names) and
        ``reconstruction_logits`` (1, 3, h, w), as far as the model has them; raw ones.

    Raises:
        GraphError: if the model cannot be traced, or does what ONNX has no operation for.
    """
    with _TRACING:
        raw, image = _Raw(model).eval(), torch.zeros(1, 3, *size)
        with torch.inference_mode():
            has_map = model(image).anomaly_map is not None
        names = ["pred_score", *(["anomaly_map"] if has_map else []), *(["parts"] if raw.parts else [])]
        names += [RECONSTRUCTION] if raw.mark is not None else []
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        options: dict[str, Any] = {"input_names": ["input"], "output_names": names, "opset_version": 18}
        try:
            torch.onnx.export(raw, (image,), file, verbose=False, external_data=False, **options)
        except OSError as error:  # a full disk is no fault of the model
            raise OSError(error.errno, error.strerror, error.filename or str(file)) from error
        except Exception as error:  # torch's exporter raises a dozen kinds, a stranger's model any
            raise GraphError(_untraced(error)) from error
        strip_traces(file)
    return names


def _untraced(error: Exception) -> str:
    """What of a model cannot be traced: the innermost error's first line, and the line of code behind it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    summary = re.search(r"## Exception summary\s+<class '(?:.*\.)?(\w+)'>: (.*)", text)
    cause = f"{summary[1]}: {summary[2]}" if summary else f"{type(error).__name__}: {one_line(text)[:200]}"
    places = re.findall(r'File "([^"]+)", line (\d+), in (\w+)', text) or re.findall(
        r"Caused by: \((\S+?):(\d+) in (\w+)\)", text
    )
    where = f" in {places[-1][2]}, {Path(places[-1][0]).name} line {places[-1][1]}" if places else ""
    return (
        f"The model and its pre-processor cannot be made a graph: {one_line(cause).rstrip('.')}{where}. A graph has a "
        "fixed input and no chance, no numpy and no step that depends on an image's values: leave these to training, "
        "or to the data module."
    )


def to_openvino(model: torch.nn.Module, size: tuple[int, int]) -> ov.Model:
    """Convert a torch model to an OpenVINO graph of fixed input size (1, 3, H, W) float32, by way of ONNX.

    Args:
        model: As for :func:`to_onnx`.
        size: Height and width in pixels.

    Returns:
        Graph with the outputs of :func:`to_onnx`.

    Raises:
        GraphError: as there, or if OpenVINO lacks one of the operations.
    """
    with tempfile.TemporaryDirectory() as folder:
        to_onnx(model, size, Path(folder) / "model.onnx")
        try:
            return ov.convert_model(Path(folder) / "model.onnx")
        except Exception as error:  # OpenVINO's readers raise RuntimeError and kinds of their own
            raise GraphError(f"OpenVINO cannot read the model's graph ({one_line(error)[:300]}).") from error


def finished(graph: ov.Model, form: InputSpec, point: Mapping[str, Any]) -> ov.Model:
    """The graph as a bundle holds it, of one that :func:`to_openvino` made, quantised or not.

    Args:
        graph: The raw graph; used up.
        form: What the finished graph takes; conversion, scaling to [0, 1] and change of layout are inside then.
        point: Record of the operating point, see :func:`medanomaly.edge.bundle_graph.with_decision`.
    """
    steps = PrePostProcessor(with_decision(graph, point))
    kind, one = TYPES[form.type]
    steps.input().tensor().set_element_type(ov.Type(kind)).set_layout(ov.Layout(form.layout))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    if one != 1:
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(float(one))
    return steps.build()
