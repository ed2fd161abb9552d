"""Write a bundle: convert, describe, prove, and only then put it in place."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

from medanomaly import __version__
from medanomaly.edge import Detector
from medanomaly.edge.bundle import CARD, FORMAT, GRAPH, SCHEMA, SCORES, WEIGHTS, Bundle, sha256
from medanomaly.edge.infer import find_inputs
from medanomaly.edge.self_test import record
from medanomaly.evidence import run_tables as tables
from medanomaly.evidence.limits import INTENDED_USE
from medanomaly.export.parity import TOLERANCE, parity
from medanomaly.export.run import ExportError, Run
from medanomaly.models.module import part_names


def export_run(
    run_folder: str | Path, out: str | Path, images: str | Path | None = None, limit: int = 128
) -> dict[str, Any]:
    """Export a tested run as a bundle.

    Args:
        run_folder: Folder of the run (holds ``run.json``).
        out: Folder of the bundle; replaced if it holds one, refused if it holds anything else.
        images: Image or folder for the parity record; by default the run's own validation images.
        limit: At most so many of them, evenly spread.

    Returns:
        The card.

    Raises:
        ExportError: if the run or ``out`` cannot be used, no image for the parity record can be had, or torch and
            OpenVINO differ by more than the tolerance; nothing is left behind.
    """
    run, out = Run.load(run_folder), Path(out)
    if out.exists() and not (out / CARD).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out}: exists and is not a bundle. Choose another folder for --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        part = Path(temporary) / "bundle"
        part.mkdir()
        # FP16 compression is save_model's default; weights stay f32 for parity.
        ov.save_model(to_openvino(run.model.model, run.reading.size), part / GRAPH, compress_to_fp16=False)
        card = _card(run, part)
        card["validation"] = _scores(run, part)
        _write(part, card)
        detector = Detector(Bundle.open(part), cache=False)
        card["parity"] = parity(run.model.model, detector, _images(run, images, limit))
        proof = card["parity"]
        if not proof["images"]:
            raise ExportError("There is no image for the parity record. Name some with --images.")
        if proof["score_relative"] > TOLERANCE or proof["flips"]:
            raise ExportError(
                f"The exported graph differs from torch: largest relative difference {proof['score_relative']:.2e} on "
                f"{proof['worst']} (tolerance {TOLERANCE:g}), {proof['flips']} decisions flip. No bundle was written."
            )
        card["self_test"] = record(detector)
        _write(part, card)
        if out.exists():
            shutil.rmtree(out)
        part.rename(out)
    return card


class _Raw(torch.nn.Module):
    """The graph that is exported: raw score, raw map where there is one, and the score's parts where it has several.

    The decision stays in the card, so that another operating point needs no other graph.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.parts = model, part_names(model)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scored, *parts = self.model.scored(image) if self.parts else (self.model(image),)  # type: ignore[operator]
        return tuple(out for out in (scored.pred_score, scored.anomaly_map, *parts) if out is not None)


def to_openvino(model: torch.nn.Module, size: tuple[int, int]) -> ov.Model:
    """Convert a torch model to an OpenVINO graph of fixed input size (1, 3, H, W), by way of ONNX.

    Args:
        model: Returns ``InferenceBatch`` in evaluation mode, and has ``scored`` if it has ``part_names``.
        size: Height and width in pixels.

    Returns:
        Graph with the outputs ``pred_score`` (1,), ``anomaly_map`` (1, 1, H, W) and ``parts`` (1, names), as far as
        the model has them.
    """
    raw, image = _Raw(model).eval(), torch.zeros(1, 3, *size)
    with torch.inference_mode():
        has_map = model(image).anomaly_map is not None
    names = ["pred_score", *(["anomaly_map"] if has_map else []), *(["parts"] if raw.parts else [])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            raw, (image,), file, input_names=["input"], output_names=names, opset_version=18, verbose=False
        )
        return ov.convert_model(file)


def _card(run: Run, part: Path) -> dict[str, Any]:
    evidence = run.evidence
    post: Any = run.model.post_processor
    if not hasattr(post, "record"):
        raise ExportError("This run has no medanomaly OperatingPoint, so its threshold is not known in raw scores.")
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "medanomaly": __version__,
        "model": {"name": evidence["run"]["model"], "options": evidence["run"]["options"]},
        "reading": run.reading.to_dict(),
        "operating_point": post.record(),
        "parts": list(part_names(run.model.model)),
        "data": {"name": evidence["run"]["data"], **evidence["data"]},
        "results": {"image": evidence["image"], "pixel": evidence["pixel"]},
        "caveats": evidence["caveats"],
        "versions": evidence["run"]["versions"],
        "precision": "f32",
        "licence": "That of the training data and of any pretrained weights applies to the weights of this model.",
        "intended_use": INTENDED_USE,
        "files": {name: sha256(part / name) for name in (GRAPH, WEIGHTS)},
    }


def _scores(run: Run, part: Path) -> dict[str, Any] | None:
    """Leave the validation scores in the bundle, so that its rule can be changed; no paths, which may name patients."""
    source = run.folder / tables.VALIDATION
    if not source.is_file():
        return None
    tables.write(tables.read(source).drop(columns=["path", "group"]), part / SCORES)
    return {"file": SCORES, "sha256": sha256(part / SCORES)}


def _write(part: Path, card: dict[str, Any]) -> None:
    (part / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _images(run: Run, images: str | Path | None, limit: int) -> Iterator[tuple[str, np.ndarray]]:
    if images is not None:
        paths = [path for path in find_inputs([Path(images)]) if isinstance(path, Path)]
        for path in paths[:: max(1, -(-len(paths) // limit))]:
            yield str(path), run.reading.load(path)
        return
    try:
        dataset = run.datamodule().subset("val")
    except FileNotFoundError as error:
        raise ExportError(f"{error}\nOr name images for the parity record with --images.") from error
    for index in range(0, len(dataset), max(1, -(-len(dataset) // limit))):
        image: Any = dataset.__getitems__([index]).image
        yield dataset.paths[index], image[0].permute(1, 2, 0).contiguous().numpy()
