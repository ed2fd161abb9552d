"""Adam for models with a single training loss, with or without a decaying learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from medanomaly.options import OptionError

if TYPE_CHECKING:
    from medanomaly.models.module import MedicalModel

SCHEDULES = ("constant", "cosine")


def check_schedule(schedule: str) -> None:
    """Refuse what is none of ``SCHEDULES``.

    Raises:
        ValueError: for an unknown schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not '{schedule}'")


def cosine(step: int, total: int) -> float:
    """Share of the learning rate at a step: from 1 down half a cosine to 0 after ``total`` steps."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))


def adam(plugin: MedicalModel) -> Any:
    """Adam (Kingma, Ba, ICLR 2015) by the plugin's ``learning_rate``, ``weight_decay`` and ``schedule``.

    Returns:
        What ``configure_optimizers`` returns: the optimiser, with a schedule of one update a step if it is ``cosine``
        (Loshchilov, Hutter, ICLR 2017, without restarts).

    Raises:
        ValueError: if the training has no end that a cosine could run to.
    """
    options = {"lr": plugin.hparams["learning_rate"], "weight_decay": plugin.hparams["weight_decay"]}
    optimiser = torch.optim.Adam(plugin.model.parameters(), fused=True, **options)
    if plugin.hparams["schedule"] == "constant":
        return optimiser
    total = plugin.trainer.estimated_stepping_batches
    if not math.isfinite(total):
        raise OptionError("schedule 'cosine' needs an end of training: set trainer.max_epochs or trainer.max_steps")
    # A plain function is not kept in checkpoints, so a training resumed with more epochs follows the longer cosine.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, int(total)))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
