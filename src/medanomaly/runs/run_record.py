"""Record what a run was made of: model, data, options and versions."""

from __future__ import annotations

import math
import platform
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from medanomaly import seeds
from medanomaly.anomalib_compat.checkpoints import trained_epochs
from medanomaly.data.table import counts, digest
from medanomaly.evidence.run_layout import WEIGHTS

#: Version of the layout of ``evidence.json`` and ``run.json``.
SCHEMA = 1
#: ``evidence["data"]`` where nothing is known.
NO_DATA: dict[str, Any] = {"counts": [], "groups_known": False, "split_sha256": None, "reading": None}
_PACKAGES = ("medanomaly", "anomalib", "torch", "lightning", "openvino", "numpy")


def names(trainer: Any, pl_module: Any) -> dict[str, Any]:
    """Names and classes of model and data: what of a run is known whatever else fails."""
    module = getattr(trainer, "datamodule", None)
    return {
        "model": type(pl_module).__name__,
        "model_class": f"{type(pl_module).__module__}.{type(pl_module).__name__}",
        "data": type(module).__name__,
        "data_class": f"{type(module).__module__}.{type(module).__name__}",
    }


def run_section(trainer: Any, pl_module: Any) -> dict[str, Any]:
    """``evidence["run"]``: plain JSON values."""
    options = plain(dict(pl_module.hparams))
    return {
        **names(trainer, pl_module),
        "options": options,
        "data_options": plain(dict(getattr(trainer.datamodule, "hparams", {}))),
        "seed": seeds.known_seed(pl_module),
        "epochs": trained_epochs(trainer) or None,
        "checkpoints": plain(list(getattr(pl_module, "findings", {}).get("checkpoint_choice", []))),
        "versions": {**{name: v for name in _PACKAGES if (v := _version(name))}, "python": platform.python_version()},
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """What of the machine makes one seed round otherwise: threads, kind of processor, and its instructions in use."""
    return {
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def data_section(module: Any) -> dict[str, Any]:
    """``evidence["data"]``: plain JSON values."""
    table = getattr(module, "table", None)
    known = getattr(module, "groups_known", None)
    if known is None:
        known = table is not None and table["group"].duplicated().any()
    return {
        "counts": counts(table) if table is not None else [],
        "groups_known": bool(known or getattr(module, "independent", False)),
        "split_sha256": digest(table) if table is not None else None,
        "reading": reading(module),
        "notes": [str(note) for note in getattr(module, "notes", ())],
    }


def reading(module: Any) -> dict[str, Any] | None:
    """How the data module reads images; None for one that is not ours."""
    return module.reading.to_dict() if hasattr(module, "reading") else None


def run_json(trainer: Any, pl_module: Any, sizes: Collection[tuple[int, int]] = ()) -> dict[str, Any]:
    """``run.json``: what it takes to load the run again.

    Of another data module than ours it keeps the size of the images, if they had one.

    Args:
        trainer: The trainer.
        pl_module: The tested module. The transform of its pre-processor is kept as text: anomalib keeps only some.
        sizes: Sizes (H, W) of the images as they were read.
    """
    module, named = trainer.datamodule, names(trainer, pl_module)
    transform = getattr(getattr(pl_module, "pre_processor", None), "transform", None)
    read = reading(module)
    return {
        "schema": SCHEMA,
        "model": {
            "class_path": named["model_class"],
            "weights": WEIGHTS,
            "transform": None if transform is None else str(transform),
        },
        "data": {"class_path": named["data_class"], "init_args": plain(dict(getattr(module, "hparams", {})))},
        "reading": read,
        **({"image_size": list(next(iter(sizes)))} if read is None and len(sizes) == 1 else {}),
    }


def split(module: Any) -> pd.DataFrame | None:
    """``split.csv``: path (below the data's root where it lies there), label, group and split; None without a table."""
    table = getattr(module, "table", None)
    if table is None:
        return None
    root = Path(module.root)
    listed = table.assign(path=[_below(root, path) for path in table["image_path"]])
    return listed[["path", "label", "group", "split"]]


def _below(root: Path, path: str) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def json_values(value: Any) -> Any:
    """A record that JSON can hold: figures that are NaN or infinite become None, what is not plain becomes text."""
    if isinstance(value, dict):
        return {str(key): json_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_values(item) for item in value]
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:  # a number of numpy's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def plain(value: Any) -> Any:
    """Options as JSON values; numbers that JSON does not know as text, objects by their class name."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if isinstance(value, Path) else type(value).__name__
