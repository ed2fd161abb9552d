"""Inputs that checks take from a tested run, and the error of a check that cannot be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch

from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.errors import MedAnomalyError
from medanomaly.evidence.bootstrap_figures import number
from medanomaly.evidence.predictions import ranking_scores
from medanomaly.streams import watched

T = TypeVar("T")
#: A check of fewer images shows no progress bar.
_MANY = 200
BATCH = 32
_UNRANKED = "raw scores are not known"


class CheckError(MedAnomalyError, ValueError):
    """A check cannot be made. The message says why, for the record."""


class Scorer(Protocol):
    """What was tested, such as :class:`medanomaly.runs.tested_model.TestedModel`."""

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        """Raw scores (B,) float32 on the CPU of images (B, 3, H, W) float32 in [0, 1], as the test gave them."""
        ...


@dataclass
class Context:
    """A tested run as the checks see it.

    Args:
        module: The data module.
        scorer: What was tested.
        predictions: One row a test image: ``path``, ``group``, ``abnormal``, ``raw_score``, ``decision``, and for a
            two-sided rule ``distance``.
        point: The record of the operating point; None where it is not ours.
        seed: Draws samples of images and control regions.
        validation: What the operating point was chosen on, rows as in ``validation.csv``; None where it is not known.
    """

    module: Any
    scorer: Scorer
    predictions: pd.DataFrame
    point: dict[str, Any] | None
    seed: int = 0
    validation: pd.DataFrame | None = None

    @property
    def table(self) -> pd.DataFrame:
        """The sample table, with ``abnormal``.

        Raises:
            CheckError: if the data module has none.
        """
        table = getattr(self.module, "table", None)
        if table is None:
            raise CheckError(f"the data module {type(self.module).__name__} has no sample table")
        return table

    @property
    def scores(self) -> np.ndarray:
        """What ranks the test images (n,): raw scores, or distances of a two-sided rule.

        Raises:
            CheckError: if they are not known, or not finite.
        """
        if "raw_score" not in self.predictions:
            raise CheckError(_UNRANKED)
        scores = ranking_scores(self.predictions)
        if not np.isfinite(scores).all():
            raise CheckError(f"{int((~np.isfinite(scores)).sum())} test images have a NaN or infinite score")
        return scores

    @property
    def abnormal(self) -> np.ndarray:
        """Truth of the test images (n,), bool."""
        return self.predictions["abnormal"].to_numpy(dtype=bool)

    @property
    def groups(self) -> np.ndarray:
        """Groups of the test images (n,), text."""
        return self.predictions["group"].astype(str).to_numpy()

    @property
    def threshold(self) -> float | None:
        """On the scale of :attr:`scores`; None without an operating point of ours."""
        return None if self.point is None else float(self.point["threshold"])

    def score(self, images: torch.Tensor) -> np.ndarray:
        """Scores (B,) of images (B, 3, H, W) as the test would give them, on the scale of :attr:`scores`.

        Raises:
            CheckError: if the test had no raw scores.
        """
        if "raw_score" not in self.predictions:
            raise CheckError(_UNRANKED)
        raw = self.scorer.scores(images).numpy()
        return (
            raw.astype(np.float64)
            if self.point is None
            else DecisionFunction.of(self.point).ranking_score(raw).astype(np.float64)
        )

    def score_rows(self, data: Any, rows: np.ndarray, what: str) -> np.ndarray:
        """Scores (len(rows),) of some images of a data set."""
        batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        shown = tracked(batches, what, len(rows))
        return np.concatenate([self.score(data.__getitems__(batch.tolist()).image) for batch in shown])

    def confirm(self, data: Any) -> None:
        """Make sure that scores given here are those of the test, on a few of its images.

        Raises:
            CheckError: if they are not.
        """
        number = {path: i for i, path in enumerate(data.paths)}
        known = [(number[path], i) for i, path in enumerate(self.predictions["path"]) if path in number][:8]
        if not known:
            raise CheckError("the test images are no longer those of the data module")
        again = self.score(data.__getitems__([i for i, _ in known]).image)
        if not np.allclose(again, self.scores[[i for _, i in known]], rtol=1e-3, atol=1e-6):
            raise CheckError("the model gives other scores for the same images outside the test")

    def sample(self, number: int, most: int) -> np.ndarray:
        """At most ``most`` of ``number`` positions, rising; drawn by the seed."""
        if number <= most:
            return np.arange(number)
        return np.sort(np.random.default_rng(self.seed).choice(number, most, replace=False))


def tracked(items: Iterable[T], what: str, images: int) -> Iterable[T]:
    """The items, with a progress bar on stderr where a person looks on and many images are read."""
    if images < _MANY or not watched():
        return items
    return _track(list(items), f"Check: {what}")


def _track(items: list[T], what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, console=Console(stderr=True), transient=True)


def figure(found: Any, method: str = "DeLong by group, paired") -> dict[str, Any]:
    """``value``, ``low`` and ``high`` of an estimate as a record; the method is the estimate's own where it has one."""
    values = {name: number(getattr(found, name)) for name in ("value", "low", "high")}
    return {**values, "interval": f"95 % {getattr(found, 'method', method)}"}
