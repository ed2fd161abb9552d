"""Compile a bundle's graph for a device: precision, hint, threads and cache."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import openvino as ov

from medanomaly.edge.bundle import GRAPH, Bundle, BundleError
from medanomaly.edge.bundle_graph import raw_outputs

HINTS = ("latency", "throughput")

#: A card's precision to the one OpenVINO computes in. Left to itself it takes bfloat16 where the CPU has it, and
#: decisions flip; an INT8 graph holds its own 8-bit layers, and the rest of it stays f32.
_PRECISIONS = {"f32": "f32", "int8": "f32", "bf16": "bf16"}

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where compiled graphs are kept: ``$XDG_CACHE_HOME/medanomaly`` or ``~/.cache/medanomaly``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored; the working directory is nobody's cache.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "medanomaly"


def usable_cache(cache: bool | str | Path) -> Path | None:
    """The cache's folder, made where it is missing; None if it is off, or cannot be written.

    Args:
        cache: True for :func:`cache_folder`, False for none, or a folder.
    """
    if cache is False:
        return None
    try:
        folder = cache_folder() if cache is True else Path(cache).absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        log.debug("Compiled graphs are not kept: %s", error)
        return None


def compile_bundle(
    core: ov.Core, bundle: Bundle, device: str, hint: str, threads: int | None, cache: bool | str | Path
) -> ov.CompiledModel:
    """Compile a bundle's graph, with its raw tensors as outputs, for inputs of the bundle's form and size.

    Args:
        core: OpenVINO's core.
        bundle: A checked bundle.
        device: OpenVINO device.
        hint: ``latency``: one image at a time on all threads; ``throughput``: several images side by side.
        threads: Threads of inference; None leaves the choice to OpenVINO.
        cache: See :func:`usable_cache`.

    Raises:
        BundleError: if the graph cannot be compiled for the device, or the card names a precision that is unknown, or
            that the device does not compute in.
        ValueError: if ``hint`` or ``threads`` is wrong.
    """
    if hint not in HINTS:
        raise ValueError(f"hint must be one of {', '.join(HINTS)}, not '{hint}'")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    precision = bundle.card.get("precision", "f32")
    if precision not in _PRECISIONS:
        raise BundleError(f"{bundle.path}: is of precision {precision}, which this version lacks. Update medanomaly.")
    config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISIONS[precision], "PERFORMANCE_HINT": hint.upper()}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    folder = usable_cache(cache)
    try:
        graph = raw_outputs(core.read_model(bundle.path / GRAPH))
        graph.reshape(bundle.form.shape(bundle.reading.size))
        if folder is not None:
            try:
                return _pinned(core.compile_model(graph, device, {**config, "CACHE_DIR": str(folder)}), bundle, device)
            except RuntimeError as error:
                log.debug("Compiled without the cache %s: %s", folder, error)
        return _pinned(core.compile_model(graph, device, config), bundle, device)
    except RuntimeError as error:
        raise BundleError(f"{bundle.path}: cannot be compiled for {device} ({error}).") from error


def _pinned(compiled: ov.CompiledModel, bundle: Bundle, device: str) -> ov.CompiledModel:
    """Refuse a device without bfloat16 a bundle of it: OpenVINO would quietly run f32."""
    if bundle.card.get("precision") == "bf16":
        got = compiled.get_property("INFERENCE_PRECISION_HINT")
        if got != ov.Type.bf16:
            raise BundleError(
                f"{bundle.path}: is of bf16, and {device} would compute it in {got.get_type_name()}: its scores would "
                "be others. Export it with --precision f32 or int8 for this machine."
            )
    return compiled
