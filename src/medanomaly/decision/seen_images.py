"""Collect what a validation batch gives an operating point: raw scores, labels, a sample of each map's pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from medanomaly.csv_cells import some
from medanomaly.decision.threshold_rules import RuleError

#: Pixels of one image that take part in choosing the pixel threshold: all of a 128 px map, an even sample of larger.
_PIXELS_PER_IMAGE = 16_384


class Seen(NamedTuple):
    """What is kept of a validation image: score and label (), parts (p,), sampled pixels and their truth (k,)."""

    score: np.floating
    abnormal: np.bool_
    path: str
    parts: np.ndarray | None
    pixels: np.ndarray | None
    marked: np.ndarray | None


def seen(outputs: Any) -> list[Seen]:
    """The images of a validation batch.

    Args:
        outputs: What the model's validation step returned, an ``ImageBatch`` of raw scores and maps.

    Raises:
        RuleError: if an image has no label, or the model gives no score of each image.
    """
    if outputs.gt_label is None:  # a foreign data module's, where a label of the batch is unknown
        raise RuleError(
            f"Not every validation image has a label: one is missing among {some(outputs.image_path or ())}."
        )
    if outputs.pred_score is None:
        raise RuleError(
            "The model gives no score of each image (pred_score), and a threshold needs one, such as the maximum "
            "of its map. Return it from the torch model."
        )
    scores = outputs.pred_score.detach().flatten().cpu().numpy()
    labels = outputs.gt_label.flatten().cpu().numpy().astype(bool)
    paths = outputs.image_path or [""] * len(labels)
    parts = getattr(outputs, "parts", None)
    rows = [None] * len(labels) if parts is None else parts.detach().cpu().numpy()
    maps: Any = [None] * len(labels)
    truth, known = maps, np.zeros(len(labels), dtype=bool)
    if outputs.anomaly_map is not None:
        maps = outputs.anomaly_map.detach().flatten(1).cpu().numpy()
        size = tuple(outputs.anomaly_map.shape[-2:])
        truth = np.zeros(maps.shape, bool) if outputs.gt_mask is None else _marked(outputs.gt_mask, size)
        # Pixels of an abnormal image whose mask is unknown are neither normal nor abnormal: leave them out.
        known = ~labels | truth.any(axis=1)
        step = max(1, -(-maps.shape[1] // _PIXELS_PER_IMAGE))
        maps, truth = maps[:, ::step].copy(), truth[:, ::step].copy()
    images = []
    for score, label, path, row, pixels, marked, use in zip(
        scores, labels, paths, rows, maps, truth, known, strict=True
    ):
        images.append(Seen(score, label, path, row, *((pixels, marked) if use else (None, None))))
    return images


def _marked(masks: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """Masks (B, …, H, W) as (B, h·w) of bool, at the size (h, w) of maps: a pixel is marked if a part of it is."""
    masks = masks.detach().reshape(len(masks), 1, *masks.shape[-2:])
    if tuple(masks.shape[-2:]) != size:
        masks = torch.nn.functional.adaptive_max_pool2d(masks.float(), size)
    return masks.bool().flatten(1).cpu().numpy()
