"""Write a bundle of lower precision beside the f32 one, with what that costs in its card."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from medanomaly.data.dataset import MedicalDataset
from medanomaly.edge import Detector
from medanomaly.edge.bundle import SCORES
from medanomaly.edge.bundle_graph import seal, set_point
from medanomaly.edge.detector import core
from medanomaly.edge.input_spec import InputSpec
from medanomaly.evidence import predictions
from medanomaly.export.convert import finished
from medanomaly.export.errors import ExportError
from medanomaly.export.precision_loss import differences, fidelity, image_of, refitted, resources, score_all
from medanomaly.export.quantise import CALIBRATION, Tensors, quantise
from medanomaly.files import sha256
from medanomaly.runs.tested_run import TestedRun
from medanomaly.streams import watched

PRECISIONS = ("f32", "bf16", "int8")
#: How far from 1 the fidelity on validation may be unless told otherwise.
DROP = 0.005
#: Share of decisions that differ from f32 above which the card warns, whatever the figure says.
_FEW_FLIPS = 0.02
#: Largest relative difference of the self-test's figures, and of scores to those of the export, that another CPU may
#: make. See docs/export.md for what was measured.
TOLERANCES = {"int8": 0.02, "bf16": 0.02}


def reduce(
    run: TestedRun, raw: ov.Model, f32: Detector, folder: Path, precision: str, drop: float
) -> tuple[dict[str, Any], ov.Model]:
    """Write the bundle of a lower precision.

    The operating point is chosen anew by the same rule, on the validation scores of the reduced graph: a clinic asks
    its question of the scores that it will get. Nothing of the test is looked at.

    Args:
        run: The run.
        raw: Its graph, see :func:`medanomaly.export.convert.to_openvino`; used up.
        f32: Detector of its f32 bundle.
        folder: An empty folder, beside the f32 bundle's.
        precision: ``bf16`` or ``int8``.
        drop: How far below 1 the fidelity may be, see :func:`medanomaly.export.precision_loss.fidelity`.

    Returns:
        The card, with ``cost`` and without parity and self-test; and the finished graph, as it lies in ``folder``.

    Raises:
        ExportError: if the run's images are not there, the device lacks the precision, NNCF fails, or the cost is more
            than ``drop``.
    """
    if precision == "bf16":
        _needs_bf16()
    train, val = _images(run)
    old = f32.bundle.card["operating_point"]
    with status("Scoring validation images with f32"):
        expected = score_all(f32, val)
    scores, abnormal = _raw(expected), expected["abnormal"].to_numpy(dtype=bool)
    of = fidelity(old, scores, abnormal)
    if not np.isfinite(scores).all():
        raise ExportError("Validation scores of this model are not finite, so that a cost cannot be measured.")
    layers = None
    if precision == "int8":
        with status("Quantising, and judging it on validation images"):
            raw, layers = quantise(raw, Tensors(train, CALIBRATION), Tensors(val), of, drop)
    card = copy.deepcopy(f32.bundle.card)
    card["precision"] = precision
    for entry in ("parity", "self_test", "tested"):
        card.pop(entry, None)
    with status(f"Measuring what {precision} costs"):
        graph = finished(raw, InputSpec.of(card), old)
        seal(graph, folder, card)
        got = score_all(Detector(folder, cache=False), val)
        if not np.isfinite(_raw(got)).all():
            raise ExportError(f"In {precision} scores of this model are not finite. Export it with --precision f32.")
        new = refitted(old, scores, _raw(got), abnormal)
        found = differences(old, new, scores, _raw(got), val.samples)
        if 1 - found["fidelity"] > drop:
            raise ExportError(_too_much(precision, found, drop))
        card["operating_point"] = new
        card["cost"] = {
            "compared_with": "f32",
            "measured_on": "validation",
            **found,
            "allowed": drop,
            "layers": None if layers is None else {"convolutions": layers.total, "int8": layers.quantised},
            **resources(f32.bundle.path, folder, image_of(val, 0)),
        }
    card["caveats"] = [*card["caveats"], _caveat(precision, found)]
    predictions.write(got, folder / SCORES)
    card["validation"] = {"file": SCORES, "sha256": sha256(folder / SCORES)}
    set_point(graph, new)
    seal(graph, folder, card)
    return card, graph


def sentence(card: dict[str, Any]) -> str:
    """What a reduced bundle costs, in words for the console."""
    cost = card["cost"]
    layers, sizes = cost["layers"], cost["bytes"]
    made = "" if layers is None else f", {layers['int8']} of {layers['convolutions']} convolutions in 8 bits"
    return (
        f"{card['precision']} against f32 on {_told(cost)}{made}. Size {sizes['f32']:,} to {sizes['reduced']:,} bytes, "
        f"{cost['speed']:.2f} times as fast."
    )


def _told(found: dict[str, Any]) -> str:
    images, ranking = sum(found["images"].values()), found["auroc"]
    auroc = "" if ranking is None else f"AUROC {ranking['f32']:.4f} to {ranking['reduced']:.4f}, "
    return (
        f"{images} validation images: {auroc}rank correlation {found['rank_correlation']:.4f}, {found['flips']} "
        "decisions differ"
    )


@contextmanager
def status(text: str) -> Iterator[None]:
    """A line that says what takes so long, where somebody looks."""
    from rich.console import Console

    if not watched():
        yield
        return
    with Console(stderr=True).status(f"{text} …"):
        yield


def _needs_bf16() -> None:
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in able:
        raise ExportError(
            f"This CPU does not compute in bf16 (OpenVINO names {', '.join(able)}) and would run f32: what bf16 costs "
            "cannot be measured. Export with --precision f32 or int8, or on a CPU that has it."
        )


def _images(run: TestedRun) -> tuple[MedicalDataset, MedicalDataset]:
    """Normal training images, and all validation images."""
    try:
        module = run.datamodule()
        train, val = module.subset("train"), module.subset("val")
    except (FileNotFoundError, ValueError) as error:
        raise ExportError(
            f"{error}\nA reduced precision is calibrated and judged on the run's own images; f32 can do without."
        ) from error
    return train.only(~train.abnormal), val


def _raw(rows: Any) -> np.ndarray:
    return rows["raw_score"].to_numpy(dtype=np.float32)


def _too_much(precision: str, found: dict[str, Any], drop: float) -> str:
    limits = "the AUROC may move by" if found["auroc"] else "the share of decisions that differ may be"
    return (
        f"{precision} is not true enough to f32 on {_told(found)}; {limits} {drop:g}, and the rank correlation as much "
        "below 1. No bundle was written. Export with --precision f32, or allow more with --accuracy-drop."
    )


def _caveat(precision: str, found: dict[str, Any]) -> dict[str, str]:
    images, flips = sum(found["images"].values()), found["flips"]
    return {
        "severity": "warning" if flips > _FEW_FLIPS * images else "note",
        "title": f"The test figures are those of f32; this bundle computes in {precision}",
        "text": f"Of {images} validation images {flips} are decided otherwise than in f32, each at its own threshold. "
        "What else it changes stands under cost in the card.",
    }
