"""``TestedRun``: a run's folder read back; its model and data module on demand.

Reading is cheap: torch and anomalib are imported when the model or the data module is asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medanomaly.data.renamed_options import translated
from medanomaly.evidence import predictions as prediction_tables
from medanomaly.evidence.run_layout import EVIDENCE, PREDICTIONS, RUN
from medanomaly.imaging import Preprocessing
from medanomaly.runs.errors import RunError

if TYPE_CHECKING:
    from anomalib.models import AnomalibModule

    from medanomaly.runs.tested_model import TestedModel


@dataclass(frozen=True)
class TestedRun:
    """What a tested run's folder holds.

    Args:
        folder: The folder.
        evidence: The content of ``evidence.json``.
        predictions: One row a test image, as in ``predictions.csv``.
        scores: The scores (n,) that decide: raw ones, or a two-sided rule's distances; mapped ones where raw ones are
            not known. NaN where the model gave no finite one.
        abnormal: The truth (n,), bool.
    """

    __test__ = False  # pytest takes a class of this name for tests

    folder: Path
    evidence: dict[str, Any]
    predictions: pd.DataFrame
    scores: np.ndarray
    abnormal: np.ndarray

    @classmethod
    def load(cls, folder: str | Path) -> TestedRun:
        """Read a run's evidence and predictions; ``run.json`` and the weights are read when they are asked for.

        Raises:
            RunError: if either is missing or unreadable, or they are not of one test.
        """
        folder = Path(folder)
        evidence = _read_json(folder, EVIDENCE)
        try:
            images, *_ = (int(evidence["image"][key]) for key in ("images", "normal", "abnormal"))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(folder / EVIDENCE, error) from error
        file = folder / PREDICTIONS
        if not file.is_file():
            raise RunError(f"{file}: there is no such file, so what the test gave is not known. Test the run again.")
        try:
            predictions = prediction_tables.read(file)
            if not predictions["abnormal"].isin([True, False]).all():
                raise ValueError("column abnormal holds more than true and false")
            scores = prediction_tables.shown(predictions)
        except (OSError, ValueError, KeyError) as error:
            raise _unreadable(file, error) from error
        if len(predictions) != images:
            raise RunError(
                f"{folder}: {PREDICTIONS} has {len(predictions)} images and {EVIDENCE} {images}: they are not of one "
                "test. Test the run again."
            )
        return cls(folder, evidence, predictions, scores, predictions["abnormal"].to_numpy(dtype=bool))

    @property
    def ours(self) -> bool:
        """Whether one of our data modules read its images.

        Raises:
            RunError: if ``run.json`` is missing or unreadable.
        """
        return self._record.ours

    @property
    def data(self) -> dict[str, Any]:
        """Class path and options of the data module.

        Raises:
            RunError: if ``run.json`` is missing or unreadable.
        """
        return self._record.data

    @property
    def reading(self) -> Preprocessing:
        """How its images were read.

        Raises:
            RunError: if ``run.json`` is missing or unreadable, or another data module than ours read them, at several
                sizes.
        """
        if self._record.read is None:
            raise RunError(
                f"{self.folder}: its images were read by {self.data['class_path']}, not at one size that is known, and "
                "the edge needs one. Train with a medanomaly data module, such as medanomaly.data.Folder or "
                "medanomaly.data.Table."
            )
        return self._record.read

    @property
    def weights(self) -> Path:
        """The checkpoint with the tested weights.

        Raises:
            RunError: if ``run.json`` is missing or unreadable, or the checkpoint is not there.
        """
        weights = self.folder / self._record.weights
        if not weights.is_file():
            raise RunError(f"{weights}: there is no such file. Test the run again.")
        return weights

    @cached_property
    def model(self) -> AnomalibModule:
        """The model with the tested weights, in evaluation mode.

        Raises:
            RunError: if ``run.json`` or the weights are missing or unreadable, or the class of the model cannot be had.
        """
        from medanomaly.runs.load_model import UNKNOWN, load_model

        transform = self._record.model.get("transform", UNKNOWN)
        return load_model(self._record.class_path, self.weights, transform)

    @cached_property
    def tested(self) -> TestedModel:
        """What was tested: the only thing that scores this run's images.

        Raises:
            RunError: as :attr:`model`.
        """
        from medanomaly.runs.tested_model import TestedModel

        return TestedModel(self.model)

    def datamodule(self) -> Any:
        """The run's data module, made anew from its options; nothing is read yet.

        Raises:
            RunError: if it is none of ours, as a run does not record the options of others, or its class cannot be
                had.
        """
        if not self.ours:
            raise RunError(
                f"{self.folder}: its data module {self.data['class_path']} is not one of medanomaly, and a run does "
                "not record the options of others."
            )
        from medanomaly.runs.load_model import class_of

        return class_of("data", self.data["class_path"])(**translated(self.data["init_args"]))

    @cached_property
    def _record(self) -> _Record:
        return _Record.load(self.folder)


@dataclass(frozen=True)
class _Record:
    """The content of ``run.json``, see :func:`medanomaly.runs.run_record.run_json`."""

    class_path: str
    model: dict[str, Any]
    weights: str
    data: dict[str, Any]
    read: Preprocessing | None  #: None if it is not known
    ours: bool

    @classmethod
    def load(cls, folder: Path) -> _Record:
        record = _read_json(folder, RUN)
        try:
            model, ours = record["model"], record["reading"] is not None
            read = Preprocessing.from_dict(record["reading"]) if ours else _of_others(record)
            return cls(model["class_path"], model, model["weights"], record["data"], read, ours)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(folder / RUN, error) from error


def _of_others(record: dict[str, Any]) -> Preprocessing | None:
    """How anomalib's own data modules read images that all had one size; the last gate of an export proves it."""
    size = record.get("image_size")
    return None if size is None else Preprocessing((int(size[0]), int(size[1])))


def _read_json(folder: Path, name: str) -> Any:
    file = folder / name
    if not file.is_file():
        lacks = " and no ".join(one for one in (EVIDENCE, RUN) if one == name or not (folder / one).is_file())
        raise RunError(
            f"{folder}: is not a tested run (it has no {lacks}). Name the folder that `train` or `test` printed, such "
            "as results/Autoencoder/Phantom/latest."
        )
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> RunError:
    return RunError(f"{file}: is unreadable ({error}). Test the run again.")
