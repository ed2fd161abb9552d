"""A tested run, loaded back from its folder."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anomalib.data import AnomalibDataModule
from anomalib.models import AnomalibModule

from medanomaly.data.renamed_options import translated
from medanomaly.imaging import Preprocessing
from medanomaly.registry import PluginError, get, plugins
from medanomaly.runs.checkpoint_files import why_not
from medanomaly.runs.tested_model import TestedModel

#: In place of the transform of a run that did not record one, as those of 0.1.0.
UNKNOWN = "unknown"


class ExportError(ValueError):
    """A run cannot be exported. The message says why and what to do."""


@dataclass(frozen=True)
class TestedRun:
    """What a tested run's folder holds.

    Args:
        folder: The folder.
        model: The model with the tested weights, in evaluation mode.
        read: How its images were read; None if that is not known.
        ours: Whether one of our data modules read them.
        evidence: The content of ``evidence.json``.
        data: Class path and options of the data module.
    """

    __test__ = False  # pytest takes a class of this name for tests

    folder: Path
    model: AnomalibModule
    read: Preprocessing | None
    ours: bool
    evidence: dict[str, Any]
    data: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> TestedRun:
        """Load a run.

        Raises:
            ExportError: if a file is missing or unreadable, or the class of the model cannot be had.
        """
        folder = Path(folder)
        if not (folder / "run.json").is_file():
            raise ExportError(
                f"{folder}: is not a tested run (it has no run.json). Name the folder that `train` or `test` printed, "
                "such as results/Autoencoder/Phantom/latest."
            )
        try:
            record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
            weights = folder / record["model"]["weights"]
            ours = record["reading"] is not None
            reading = Preprocessing.from_dict(record["reading"]) if ours else _of_others(record)
            class_path, data = record["model"]["class_path"], record["data"]
            transform = record["model"].get("transform", UNKNOWN)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ExportError(
                f"{folder}: run.json or evidence.json is unreadable ({error}). Test the run again."
            ) from error
        if not weights.is_file():
            raise ExportError(f"{weights}: there is no such file. Test the run again.")
        return cls(folder, _loaded(class_path, weights, transform), reading, ours, evidence, data)

    @property
    def reading(self) -> Preprocessing:
        """How its images were read.

        Raises:
            ExportError: if another data module than ours read them, at several sizes.
        """
        if self.read is None:
            raise ExportError(
                f"{self.folder}: its images were read by {self.data['class_path']}, not at one size that is known, and "
                "the edge needs one. Train with a medanomaly data module, such as medanomaly.data.Folder or "
                "medanomaly.data.Table."
            )
        return self.read

    @cached_property
    def tested(self) -> TestedModel:
        """What was tested: the only thing that scores this run's images."""
        return TestedModel(self.model)

    def datamodule(self) -> Any:
        """The run's data module, made anew from its options; nothing is read yet.

        Raises:
            ExportError: if it is none of ours, as a run does not record the options of others, or its class cannot be
                had.
        """
        if not self.ours:
            raise ExportError(
                f"{self.folder}: its data module {self.data['class_path']} is not one of medanomaly, and a run does "
                "not record the options of others."
            )
        return _class("data", self.data["class_path"])(**translated(self.data["init_args"]))


def _of_others(record: dict[str, Any]) -> Preprocessing | None:
    """How anomalib's own data modules read images that all had one size; the last gate of an export proves it."""
    size = record.get("image_size")
    return None if size is None else Preprocessing((int(size[0]), int(size[1])))


def _loaded(class_path: str, weights: Path, transform: str | None) -> AnomalibModule:
    """The model with its weights, in evaluation mode, and with the transform that it was tested with.

    anomalib keeps a few known transforms in a checkpoint, and None in place of others: the class knows its own.
    """
    model_class = _class("model", class_path)
    try:  # weights_only inside: a checkpoint is never unpickled into arbitrary objects.
        model = model_class.load_from_checkpoint(weights, map_location="cpu").eval()
    except Exception as error:  # torch's reader, lightning and the class itself raise a dozen kinds
        raise ExportError(why_not(weights, model_class, error)) from error
    if transform is not None and _transform(model.pre_processor) is None:
        again = model.configure_pre_processor()
        if _transform(again) is not None:
            model.pre_processor = again
        elif transform != UNKNOWN:
            raise ExportError(
                f"{weights}: the model was tested with the pre-processor transform {transform}, which anomalib does "
                f"not keep in a checkpoint. Return it from {model_class.__name__}.configure_pre_processor, and train "
                "again."
            )
    return model


def _transform(pre_processor: Any) -> Any:
    return getattr(pre_processor, "transform", None)


def _class(kind: str, class_path: str) -> Any:
    """A model's or data module's class by the path it was recorded under.

    Raises:
        ExportError: if it cannot be imported, or is no such class.
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
                    raise ExportError(str(error)) from error
    if module == "__main__":
        raise ExportError(
            f"The {kind} class of this run, {name}, was defined in a script. Put it into a module that can be "
            "imported, and train again."
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever importing a stranger's module provokes
        raise ExportError(
            f"The {kind} class of this run, {class_path}, cannot be imported ({type(error).__name__}: {error}). "
            "Install its distribution, or put its folder on PYTHONPATH."
        ) from error
    base = {"model": AnomalibModule, "data": AnomalibDataModule}[kind]
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ExportError(f"The {kind} class of this run, {class_path}, is no {base.__name__}.")
    return found
