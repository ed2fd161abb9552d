"""A tested run, loaded back from its folder."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomalib.models import AnomalibModule

from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.imaging import Reading
from medanomaly.registry import PluginError, get, plugins


class ExportError(ValueError):
    """A run cannot be exported. The message says why and what to do."""


@dataclass(frozen=True)
class Run:
    """What a tested run's folder holds.

    Args:
        folder: The folder.
        model: The model with the tested weights, in evaluation mode.
        reading: How its images were read.
        evidence: The content of ``evidence.json``.
        data: Class path and options of the data module.
    """

    folder: Path
    model: AnomalibModule
    reading: Reading
    evidence: dict[str, Any]
    data: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Load a run.

        Raises:
            ExportError: if a file is missing or unreadable, or the model's plugin is not installed.
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
            reading = Reading.from_dict(record["reading"])
            model_class = _class("model", record["model"]["class_path"])
            data = record["data"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ExportError(
                f"{folder}: run.json or evidence.json is unreadable ({error}). Test the run again."
            ) from error
        if not weights.is_file():
            raise ExportError(f"{weights}: there is no such file. Test the run again.")
        # weights_only inside: a checkpoint is never unpickled into arbitrary objects.
        model = model_class.load_from_checkpoint(weights, map_location="cpu").eval()
        return cls(folder, model, reading, evidence, data)

    def datamodule(self) -> MedicalDataModule:
        """The run's data module, made anew from its options; nothing is read yet."""
        return _class("data", self.data["class_path"])(**self.data["init_args"])


def _class(kind: str, class_path: str) -> Any:
    """A plugin's class by the path it was recorded under; only installed plugins and anomalib's own are looked up."""
    module, _, name = class_path.rpartition(".")
    owners = {p.entry_point.module.split(".")[0] for same in plugins(kind).values() for p in same}
    if module.split(".")[0] in owners:
        # A plugin may register under another name than its class's.
        for same in plugins(kind).values():
            if (
                same[0].entry_point.value.endswith(f":{name}")
                and same[0].entry_point.module.split(".")[0] == module.split(".")[0]
            ):
                return get(kind, same[0].name)
    if module.split(".")[0] == "anomalib":
        return getattr(importlib.import_module(module), name)
    raise PluginError(f"The {kind} plugin of this run, {class_path}, is not installed. Install its distribution.")
