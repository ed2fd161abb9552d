"""What was tested scores as a trainer runs it, whatever a step asks for."""

from __future__ import annotations

import pytest
import torch
from lightning import LightningModule

from medanomaly.runs.tested_model import TestedModel


class Numbered(LightningModule):
    def test_step(self, batch, batch_idx):
        batch.update(pred_score=batch.image.mean(dim=(1, 2, 3)) + batch_idx)
        return batch


class Anything(LightningModule):
    def test_step(self, batch, *args, **kwargs):
        batch.update(pred_score=batch.image.mean(dim=(1, 2, 3)))
        return batch


class Bare(LightningModule):
    """A trainer gives no number to a step that names none."""

    def test_step(self, batch):
        batch.update(pred_score=batch.image.mean(dim=(1, 2, 3)))
        return batch


@pytest.mark.parametrize("kind", [Numbered, Anything, Bare])
def test_a_step_is_called_as_a_trainer_calls_it(kind):
    images = torch.rand(3, 3, 4, 4)
    torch.testing.assert_close(TestedModel(kind()).scores(images), images.mean(dim=(1, 2, 3)))
