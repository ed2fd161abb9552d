"""Rank metrics for anomalib's evaluator that take raw scores of any range."""

from __future__ import annotations

import numpy as np
import torch
from anomalib.metrics import AnomalibMetric, Evaluator, F1Score
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from medanomaly.metrics.ranking import Ranking


class _AUROC(Metric):
    """Exact area under the ROC curve of scores of any range; NaN if a class is missing.

    torchmetrics sends scores outside [0, 1] through a sigmoid, which ties large ones: 0.894 became 0.5 in a trial.
    """

    full_state_update = False
    higher_is_better = True
    preds: list[torch.Tensor]
    target: list[torch.Tensor]

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.add_state("preds", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add scores (B,) and truth (B,)."""
        self.preds.append(preds.detach().flatten())
        self.target.append(target.flatten().bool())

    def compute(self) -> torch.Tensor:
        """Area in [0, 1], or NaN."""
        scores, abnormal = dim_zero_cat(self.preds).cpu().numpy(), dim_zero_cat(self.target).cpu().numpy()
        if not np.isfinite(scores).all():
            return torch.tensor(float("nan"))
        return torch.tensor(Ranking(scores, abnormal).auroc(), dtype=torch.float64)


class AUROC(AnomalibMetric, _AUROC):  # type: ignore[misc]
    """The metric in anomalib's form: ``AUROC(fields=["pred_score", "gt_label"], prefix="image_")``."""


def default_evaluator() -> Evaluator:
    """Image AUROC on raw validation scores; image AUROC and F1 on test. Pixel metrics come from the evidence writer."""
    fields = ["pred_score", "gt_label"]
    return Evaluator(
        val_metrics=[AUROC(fields=fields, prefix="val_image_", strict=False)],
        test_metrics=[
            AUROC(fields=fields, prefix="image_", strict=False),
            F1Score(fields=["pred_label", "gt_label"], prefix="image_", strict=False),
        ],
    )
