"""Write a bundle: convert, describe, prove, and only then put it in place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly import __version__
from medanomaly.edge import Detector, Failure
from medanomaly.edge.batch.infer_inputs import find_inputs
from medanomaly.edge.bundle import FORMAT, ONNX, SCHEMA, SCORES, Bundle
from medanomaly.edge.bundle_graph import seal
from medanomaly.edge.content_hash import Contents
from medanomaly.edge.input_spec import InputSpec
from medanomaly.edge.self_test import record
from medanomaly.evidence import predictions
from medanomaly.evidence.check_caveats import groups
from medanomaly.evidence.run_layout import VALIDATION
from medanomaly.export import bundle_place, gate
from medanomaly.export.convert import GraphError, finished, to_onnx, to_openvino
from medanomaly.export.errors import ExportError
from medanomaly.export.parity import TOLERANCE, parity
from medanomaly.export.precision import DROP, PRECISIONS, TOLERANCES, reduce
from medanomaly.export.privacy import names_of, without_errors, without_folders, without_names
from medanomaly.files import sha256
from medanomaly.imaging import split_frame
from medanomaly.models.module import part_names
from medanomaly.options import one_line
from medanomaly.report.intended_use import INTENDED_USE
from medanomaly.runs.check_decisions import check_decisions
from medanomaly.runs.errors import RunError
from medanomaly.runs.tested_model import TestedNetwork
from medanomaly.runs.tested_run import TestedRun


@contextmanager
def _refusing() -> Iterator[None]:
    """A run that cannot be read or loaded cannot be exported either, and is told in the same words."""
    try:
        yield
    except RunError as error:
        raise ExportError(str(error)) from error


@_refusing()
def export_run(
    run_folder: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    limit: int = 128,
    input_type: str = "float32",
    onnx: bool = False,
    precision: str = "f32",
    drop: float = DROP,
) -> dict[str, Any]:
    """Export a tested run as a bundle.

    Args:
        run_folder: Folder of the run (holds ``run.json``).
        out: Folder of the bundle; replaced if it holds one, refused if it holds anything else beside or instead. Of a
            link the folder that it leads to.
        images: Image or folder for the parity record; by default the run's own validation images.
        limit: Their number at most, evenly spread.
        input_type: What the graph takes, (1, H, W, 3): ``float32`` in [0, 1], ``uint8`` or ``uint16``.
        onnx: Also write ``model.onnx``, the raw graph in f32, (1, 3, H, W).
        precision: ``f32``, or ``bf16`` or ``int8``, whose cost is measured on the run's validation images.
        drop: How far below 1 its fidelity to f32 may be then, see :func:`medanomaly.export.precision_loss.fidelity`.

    Returns:
        The card.

    Raises:
        ExportError: if the run or ``out`` cannot be used, another process writes there, no image for the parity record
            can be had, torch and OpenVINO differ by more than the tolerance, be it by the input's rounding, or the
            precision costs more than ``drop``; nothing is left behind.
        ValueError: if ``input_type`` or ``precision`` is none of these, or ``drop`` is negative.
    """
    if precision not in PRECISIONS or not 0 <= drop < 1:
        raise ValueError(f"need precision of {', '.join(PRECISIONS)} and 0 <= drop < 1, not {precision} and {drop}")
    form = InputSpec(input_type)
    run, place = TestedRun.load(run_folder), bundle_place.place_of(out)
    tested = run.tested  # loaded before anything is written
    with (
        bundle_place.held(place),
        _naming(place),
        tempfile.TemporaryDirectory(dir=place.parent, prefix=_hidden(place)) as temporary,
    ):
        part = Path(temporary) / "bundle"
        part.mkdir()
        card = _card(run, form)
        check_decisions(run)
        network = _network(run)
        card["validation"] = _scores(run, part)
        try:
            if onnx:
                card["onnx"] = _onnx(network, run.reading.size, part)
            raw = to_openvino(network, run.reading.size)
        except GraphError as error:
            raise ExportError(f"{run.folder}: {error}") from error
        graph = finished(raw.clone(), form, card["operating_point"])
        seal(graph, part, card)
        detector = Detector(Bundle.open(part), cache=False)
        card["tested"] = gate.check(run, gate.compare(run, detector, images), detector, _rounding(form))
        proof = parity(tested, detector, _images(run, images, limit))
        if not proof["images"]:
            raise ExportError("There is no image for the parity record. Name some with --images.")
        if proof["score_relative"] > TOLERANCE or proof["flips"]:
            raise ExportError(
                f"The exported graph differs from torch: largest relative difference {proof['score_relative']:.2e} on "
                f"{proof['worst']} (tolerance {TOLERANCE:g}), {proof['flips']} decisions flip. No bundle was written."
                f"{_rounding(form)}"
            )
        if precision != "f32":
            f32, part, point = part, Path(temporary) / precision, card["operating_point"]
            part.mkdir()
            card, graph = reduce(run, raw, detector, part, precision, drop)
            if onnx:
                shutil.copy2(f32 / ONNX, part)
            detector = Detector(part, cache=False)
            proof = parity(tested, detector, _images(run, images, limit), TOLERANCES[precision], precision)
            found = gate.compare(run, detector, images, every_validation=True)
            card["tested"] = gate.check_reduced(run, found, detector, point, drop, TOLERANCES[precision])
        card["parity"] = proof
        proof["worst"] = Contents().of(proof["worst"])  # a path may name a patient
        card["self_test"] = record(detector, proof["tolerance"])
        seal(graph, part, card)
        Detector(part, cache=False)  # what is put in place is what was tested: its self-test
        bundle_place.put(part, place)
    return card


def _hidden(out: Path) -> str:
    return f".{out.name}-"


@contextmanager
def _naming(out: Path) -> Iterator[None]:
    """Name ``out`` in errors about the hidden folder that becomes it, or about no file by name, such as a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or _hidden(out) in str(error.filename)):
            raise OSError(error.errno, error.strerror, str(out)) from error
        raise


def _rounding(form: InputSpec) -> str:
    if form.type == "float32":
        return ""
    finer = "uint16 or float32" if form.type == "uint8" else "float32"
    return f" Its input is rounded to {form.type}, and what it was trained on is not: try --input {finer}."


def _network(run: TestedRun) -> TestedNetwork:
    size = run.reading.size
    try:
        return run.tested.network(size)
    except ValueError as error:
        raise ExportError(f"{run.folder}: {error}") from error
    except Exception as error:  # whatever a stranger's network raises
        raise ExportError(
            f"{run.folder}: its torch model cannot be run by itself on an image of {size[0]}×{size[1]} "
            f"({type(error).__name__}: {one_line(error)[:200]}). It must take images (B, 3, H, W) alone, and return "
            "InferenceBatch(pred_score, anomaly_map)."
        ) from error


def _onnx(network: TestedNetwork, size: tuple[int, int], part: Path) -> dict[str, Any]:
    outputs = to_onnx(network, size, part / ONNX)
    return {"file": ONNX, "precision": "f32", "input": InputSpec("float32", "NCHW").record(), "outputs": outputs}


def _card(run: TestedRun, form: InputSpec) -> dict[str, Any]:
    evidence = run.evidence
    post: Any = run.model.post_processor
    if not hasattr(post, "record"):
        raise ExportError("This run has no medanomaly OperatingPoint, so its threshold is not known in raw scores.")
    data = {key: item for key, item in evidence["data"].items() if key != "notes"}  # these quote paths and groups
    card = {
        "format": FORMAT,
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "medanomaly": __version__,
        "model": {"name": evidence["run"]["model"], "options": without_folders(evidence["run"]["options"])},
        "reading": run.reading.to_dict(),
        "input": form.record(),
        "operating_point": post.record(),
        "parts": list(part_names(run.model.model)),
        "data": {"name": evidence["run"]["data"], **data},
        "results": {"image": evidence["image"], "pixel": evidence["pixel"]},
        "checks": _checks(evidence.get("checks")),
        "caveats": _caveats(evidence),
        "versions": evidence["run"]["versions"],
        "precision": "f32",
        "licence": "That of the training data and of any pretrained weights applies to the weights of this model.",
        "intended_use": INTENDED_USE,
    }
    names = names_of(run.folder, evidence["run"].get("data_options") or {})
    said = {key: card[key] for key in ("model", "data", "results", "checks", "caveats")}
    return {**card, **without_names(said, names)}


def _checks(found: dict[str, Any] | None) -> dict[str, Any]:
    """The honesty checks but for subgroups, the names of groups, which may be patients', and what errors say."""
    kept = {name: without_errors(check) for name, check in (found or {}).items() if name != "subgroups"}
    if isinstance(kept.get("groups"), dict):
        kept["groups"] = {key: item for key, item in kept["groups"].items() if key != "examples"}
    return kept


def _caveats(evidence: dict[str, Any]) -> list[dict[str, str]]:
    """The run's caveats, without the names of groups."""
    named, nameless = groups(evidence), groups({"checks": _checks(evidence.get("checks"))})
    return [nameless if nameless and caveat == named else caveat for caveat in evidence["caveats"]]


def _scores(run: TestedRun, part: Path) -> dict[str, Any] | None:
    """Leave the validation scores in the bundle, so that its rule can be changed; no paths, which may name patients."""
    source = run.folder / VALIDATION
    if not source.is_file():
        return None
    predictions.write(predictions.read(source).drop(columns=["path", "group"]), part / SCORES)
    return {"file": SCORES, "sha256": sha256(part / SCORES)}


def _images(run: TestedRun, images: str | Path | None, limit: int) -> Iterator[tuple[str, np.ndarray]]:
    if images is not None:
        paths = [path for path in find_inputs([images]) if not isinstance(path, Failure)]
        for path in paths[:: max(1, -(-len(paths) // limit))]:
            yield path, run.reading.load(path)
        return
    if not run.ours:
        rows = predictions.read(run.folder / VALIDATION)["path"]
        paths = [path for path in rows if split_frame(path)[0].is_file()]
        yield from ((path, run.reading.load(path)) for path in paths[:: max(1, -(-len(paths) // limit))])
        return
    try:
        dataset = run.datamodule().subset("val")
    except FileNotFoundError as error:
        raise ExportError(f"{error}\nOr name images for the parity record with --images.") from error
    for index in range(0, len(dataset), max(1, -(-len(dataset) // limit))):
        image: Any = dataset.__getitems__([index]).image
        yield dataset.paths[index], image[0].permute(1, 2, 0).contiguous().numpy()
