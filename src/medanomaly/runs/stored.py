"""A tested run as its folder holds it: evidence and predictions, without the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.errors import MedAnomalyError
from medanomaly.evidence import predictions as tables

EVIDENCE = "evidence.json"


class StoredError(MedAnomalyError, ValueError):
    """A folder holds no tested run that can be read. The message says why and what to do."""


@dataclass(frozen=True)
class Stored:
    """What of a run's folder a report needs.

    Args:
        folder: The folder.
        evidence: The content of ``evidence.json``.
        predictions: One row a test image, as in ``predictions.csv``.
        scores: The scores (n,) that decide: raw ones, or a two-sided rule's distances; mapped ones where raw ones are
            not known. NaN where the model gave no finite one.
        abnormal: The truth (n,), bool.
    """

    folder: Path
    evidence: Mapping[str, Any]
    predictions: pd.DataFrame
    scores: np.ndarray
    abnormal: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> Stored:
        """Read a run's evidence and predictions.

        Raises:
            StoredError: if either is missing or unreadable, or they are not of one test.
        """
        try:
            evidence = json.loads((folder / EVIDENCE).read_text(encoding="utf-8"))
            images, *_ = (int(evidence["image"][key]) for key in ("images", "normal", "abnormal"))
        except FileNotFoundError:
            raise StoredError(
                f"{folder}: is not a tested run (it has no {EVIDENCE}). Name the folder that `train` or `test` "
                "printed, such as results/Autoencoder/Phantom/latest."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoredError(f"{folder / EVIDENCE}: is unreadable ({error}). Test the run again.") from error
        file = folder / tables.PREDICTIONS
        if not file.is_file():
            raise StoredError(f"{file} is not there. A run's folder holds it after `medanomaly train` or `test`.")
        try:
            predictions = tables.read(file)
            if not predictions["abnormal"].isin([True, False]).all():
                raise ValueError("column abnormal holds more than true and false")
            scores = tables.shown(predictions)
        except (OSError, ValueError, KeyError) as error:
            raise StoredError(f"{file}: is unreadable ({error}). Test the run again.") from error
        if len(predictions) != images:
            raise StoredError(
                f"{folder}: {tables.PREDICTIONS} has {len(predictions)} images and {EVIDENCE} {images}: they are not "
                "of one test. Test the run again."
            )
        return cls(folder, evidence, predictions, scores, predictions["abnormal"].to_numpy(dtype=bool))
