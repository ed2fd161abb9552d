"""Batches of foreign models and data modules: what lacks is told, and what has another size is brought together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from medanomaly.data.required_cells import TableError
from medanomaly.decision import OperatingPoint
from medanomaly.decision.rules import RuleError
from medanomaly.models.training_scores import score


def test_a_batch_without_labels_is_an_error_that_names_its_images():
    batch = SimpleNamespace(image=torch.zeros(2, 3, 8, 8), gt_label=None, image_path=["a.png", "b.png"])
    with pytest.raises(TableError, match=r"has a label: one is missing among a\.png, b\.png"):
        score(None, [batch])
    with pytest.raises(TableError, match="has a label"):
        score(None, [SimpleNamespace(**{**vars(batch), "image_path": None})])


def test_a_model_without_scores_is_told_what_a_threshold_needs():
    batch = SimpleNamespace(pred_score=None, gt_label=torch.tensor([0, 1]), image_path=["a.png", "b.png"])
    with pytest.raises(RuleError, match="gives no score of each image"):
        OperatingPoint().on_validation_batch_end(None, None, batch)


def test_maps_smaller_than_the_masks_have_a_pixel_threshold_of_their_own():
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[1, 0, 0] = True  # marks one pixel of the small map
    maps = torch.arange(32, dtype=torch.float32).reshape(2, 1, 4, 4)
    batch = SimpleNamespace(
        pred_score=torch.tensor([1.0, 2.0]), gt_label=torch.tensor([0, 1]), image_path=["a", "b"],
        anomaly_map=maps, gt_mask=masks,
    )  # fmt: skip
    point = OperatingPoint(pixel_rule="sensitivity", pixel_value=1.0)
    point.on_validation_batch_end(None, None, batch)
    point.fit_collected(SimpleNamespace())
    # All of the marked pixel's value, 16, is above the threshold, and the next lower one is not.
    assert 15 <= float(point.pixel_threshold) < 16
