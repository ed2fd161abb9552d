"""A tested run as its folder holds it: evidence and predictions, without the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.evidence import run_tables as tables
from medanomaly.evidence.compare import CompareError, read

EVIDENCE = "evidence.json"


class StoredError(ValueError):
    """A folder holds no tested run that can be read. The message says why and what to do."""


@dataclass(frozen=True)
class Stored:
    """What of a run's folder a report needs.

    Args:
        folder: The folder.
        evidence: The content of ``evidence.json``.
        predictions: One row a test image, as in ``predictions.csv``.
        scores: The scores (n,) that decide: raw ones, or a two-sided rule's distances.
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
            images = int(evidence["image"]["images"])
            if not evidence["image"]["confusion"]:
                raise ValueError("it has no decisions")
        except FileNotFoundError:
            raise StoredError(
                f"{folder}: is not a tested run (it has no {EVIDENCE}). Name the folder that `train` or `test` "
                "printed, such as results/Autoencoder/Phantom/latest."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoredError(f"{folder / EVIDENCE}: is unreadable ({error}). Test the run again.") from error
        try:
            rows = read(folder)
        except CompareError as error:
            raise StoredError(str(error)) from error
        if len(rows) != images:
            raise StoredError(
                f"{folder}: {tables.PREDICTIONS} has {len(rows)} images and {EVIDENCE} {images}: they are not of one "
                "test. Test the run again."
            )
        predictions = tables.read(folder / tables.PREDICTIONS)
        return cls(folder, evidence, predictions, rows["ranked"].to_numpy(), rows["abnormal"].to_numpy(dtype=bool))
