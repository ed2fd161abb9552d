"""Load the model of a tested run from its class and weights; find the classes that a run names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from anomalib.data import AnomalibDataModule
from anomalib.models import AnomalibModule

from medanomaly._moved import silently
from medanomaly.registry import PluginError, get, plugins
from medanomaly.runs.checkpoint_files import why_not
from medanomaly.runs.errors import RunError

#: In place of the transform of a run that did not record one, as those of 0.1.0.
UNKNOWN = "unknown"


def load_model(class_path: str, weights: Path, transform: str | None) -> AnomalibModule:
    """The model with its weights, in evaluation mode, and with the transform that it was tested with.

    anomalib keeps a few known transforms in a checkpoint, and None in place of others: the class knows its own.

    Args:
        class_path: Of the model.
        weights: The checkpoint.
        transform: The pre-processor's transform as text; None without one, :data:`UNKNOWN` where it was not recorded.

    Raises:
        RunError: if the class cannot be had, the checkpoint does not fit it, or its transform is not kept.
    """
    model_class = class_of("model", class_path)
    try:  # weights_only inside: a checkpoint is never unpickled into arbitrary objects.
        with silently():
            model = model_class.load_from_checkpoint(weights, map_location="cpu").eval()
    except Exception as error:  # torch's reader, lightning and the class itself raise a dozen kinds
        raise RunError(why_not(weights, model_class, error)) from error
    if transform is not None and _transform(model.pre_processor) is None:
        again = model.configure_pre_processor()
        if _transform(again) is not None:
            model.pre_processor = again
        elif transform != UNKNOWN:
            raise RunError(
                f"{weights}: the model was tested with the pre-processor transform {transform}, which anomalib does "
                f"not keep in a checkpoint. Return it from {model_class.__name__}.configure_pre_processor, and train "
                "again."
            )
    return model


def _transform(pre_processor: Any) -> Any:
    return getattr(pre_processor, "transform", None)


def class_of(kind: str, class_path: str) -> Any:
    """A model's or data module's class by the path it was recorded under.

    Args:
        kind: ``model`` or ``data``.
        class_path: Module and name, with dots.

    Raises:
        RunError: if it cannot be imported, or is no such class.
    """
    module, _, name = class_path.rpartition(".")
    owners = {p.entry_point.module.split(".")[0] for same in plugins(kind).values() for p in same}
    if module.split(".")[0] in owners:
        # A plugin may register under another name than its class's.
        for same in plugins(kind).values():
            if (
                same[0].entry_point.value.endswith(f":{name}")
                and same[0].entry_point.module.split(".")[0] == module.split(".")[0]
            ):
                try:
                    return get(kind, same[0].name)
                except PluginError as error:
                    raise RunError(str(error)) from error
    if module == "__main__":
        raise RunError(
            f"The {kind} class of this run, {name}, was defined in a script. Put it into a module that can be "
            "imported, and train again."
        )
    try:
        with silently():
            found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever importing a stranger's module provokes
        raise RunError(
            f"The {kind} class of this run, {class_path}, cannot be imported ({type(error).__name__}: {error}). "
            "Install its distribution, or put its folder on PYTHONPATH."
        ) from error
    base = {"model": AnomalibModule, "data": AnomalibDataModule}[kind]
    if not (isinstance(found, type) and issubclass(found, base)):
        raise RunError(f"The {kind} class of this run, {class_path}, is no {base.__name__}.")
    return found
