"""Quantise convolutions to 8 bits with NNCF, held to a figure on validation images."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import openvino as ov

from medanomaly.data.dataset import MedicalDataset
from medanomaly.export.errors import ExportError
from medanomaly.models.module import pixels

#: Images that show the range of each layer's values; NNCF's own number.
CALIBRATION = 300


@dataclass(frozen=True)
class Tensors:
    """Images of a data set one by one as (1, 3, H, W) float32, read when they are asked for.

    Args:
        dataset: The images.
        at_most: So many of them, evenly spread; None for all.
    """

    dataset: MedicalDataset
    at_most: int | None = None

    def __len__(self) -> int:
        return len(range(0, len(self.dataset), self._step))

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(0, len(self.dataset), self._step):
            yield pixels(self.dataset.__getitems__([index])).contiguous().numpy()

    @property
    def _step(self) -> int:
        return 1 if self.at_most is None else max(1, -(-len(self.dataset) // self.at_most))


@dataclass(frozen=True)
class Layers:
    """What became of the convolutions of a graph.

    Args:
        total: Their number.
        quantised: Those whose weights and inputs are of 8 bits.
    """

    total: int
    quantised: int


def quantise(
    graph: ov.Model,
    calibration: Tensors,
    validation: Tensors,
    quality: Callable[[np.ndarray], float],
    drop: float,
) -> tuple[ov.Model, Layers]:
    """Quantise the convolutions of a graph, and put those that hurt back to f32.

    What follows the last convolution stays f32: error maps, densities and heads are where images are ranked, and cost
    next to nothing. Weights use half the range of 8 bits, so that CPUs without VNNI do not saturate and give the same.

    Args:
        graph: Takes (1, 3, H, W) float32 and has an output ``pred_score``; left as it is.
        calibration: Images (1, 3, H, W); they show the range of each layer's values.
        validation: Images (1, 3, H, W) whose raw scores ``quality`` judges.
        quality: Raw scores (n,) of the validation images to a figure, higher is better.
        drop: How much lower than the f32 graph's the figure may be.

    Returns:
        The new graph, and what became of its convolutions. The caller measures whether the drop is held.

    Raises:
        ExportError: if the graph has no convolution, NNCF fails, or nothing is left quantised.
    """
    convolutions = [op for op in graph.get_ordered_ops() if _is_convolution(op)]
    if not convolutions:
        raise ExportError("This model has no convolution, so that INT8 would change nothing. Export it with f32.")
    number = len(validation)

    stop = threading.Event()

    def judge(model: ov.CompiledModel, items: Iterable[np.ndarray]) -> tuple[float, list[float]]:
        if stop.is_set():
            raise RuntimeError("stopped")
        scores = [np.asarray(model(item)["pred_score"], dtype=np.float64).reshape(-1) for item in items]
        # NNCF tries one image first, to learn what comes back. Returning numbers makes it rank layers by our figure.
        # Returning tensors makes NNCF 3.4 rank them in the wrong order: it reverts first those that help least.
        figure = quality(np.concatenate(scores)) if len(scores) == number else 0.0
        return figure, [0.0] * len(scores)

    try:
        quantised = _quietly(lambda: _with_nncf(graph, calibration, validation, judge, drop), stop)
    except Exception as error:
        raise ExportError(
            f"NNCF cannot quantise this model ({type(error).__name__}: {error}). Export it with --precision f32."
        ) from error
    layers = Layers(len(convolutions), sum(map(_is_quantised, filter(_is_convolution, quantised.get_ordered_ops()))))
    if not layers.quantised:
        raise ExportError(
            f"No layer stays quantised: NNCF put all {layers.total} convolutions back to f32 to stay "
            f"within {drop:g} of f32 on validation. Export with --precision f32, or allow more with --accuracy-drop."
        )
    return quantised, layers


def _with_nncf(graph: ov.Model, calibration: Tensors, validation: Tensors, judge: Callable, drop: float) -> ov.Model:
    # NNCF reports each use to its makers unless this is set; a hospital's machine does not call out.
    os.environ.setdefault("NNCF_CI", "1")
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that there is no GPU
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedAccuracyRestorerParameters, OverflowFix

    # Not by nncf.set_log_level, which changes the handlers too, and these may be shared with other loggers.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf.quantize_with_accuracy_control(
        graph,
        nncf.Dataset(calibration),
        nncf.Dataset(validation),
        judge,
        max_drop=drop,
        subset_size=CALIBRATION,
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=_ranking(graph), validate=False),
        advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
            ranking_subset_size=len(validation), num_ranking_workers=1
        ),
    )


def _is_convolution(op: ov.Node) -> bool:
    return "Convolution" in op.get_type_name()


def _ranking(graph: ov.Model) -> list[str]:
    """Names of the operations that no convolution comes after."""
    before: set[str] = set()
    for op in reversed(graph.get_ordered_ops()):
        readers = (reader.get_node() for output in op.outputs() for reader in output.get_target_inputs())
        if any(_is_convolution(reader) or reader.get_friendly_name() in before for reader in readers):
            before.add(op.get_friendly_name())
    kept = ("Constant", "Parameter", "Result")
    return [
        op.get_friendly_name()
        for op in graph.get_ordered_ops()
        if op.get_friendly_name() not in before and not _is_convolution(op) and op.get_type_name() not in kept
    ]


def _is_quantised(convolution: ov.Node) -> bool:
    return convolution.input_value(0).get_node().get_type_name() == "FakeQuantize"


def _quietly(work: Callable[[], ov.Model], stop: threading.Event) -> ov.Model:
    """Run in a thread of its own without what it prints; ``stop`` is set when the caller is interrupted.

    NNCF makes and frees OpenVINO cores, which may leave their thread with a freed signal stack; see
    :func:`medanomaly.edge.detector.core`.
    """

    def silent() -> ov.Model:
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return work()
            finally:
                gc.collect()  # compiled graphs must go where they were made

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(silent).result()
        except BaseException:
            stop.set()
            raise
