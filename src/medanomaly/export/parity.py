"""Prove parity: the exported graph gives the scores of the torch model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from medanomaly.edge import Detector
from medanomaly.edge.batch.verify_bundle import flip, relative
from medanomaly.edge.content_hash import Contents
from medanomaly.runs.tested_model import placed

#: Largest relative difference of raw scores that an f32 export may show.
TOLERANCE = 1e-4
#: Largest number of images recorded one by one for `medanomaly verify`: some 30 kB.
REPLAYED = 256


def parity(
    model: Callable[[torch.Tensor], Any],
    detector: Detector,
    images: Iterable[tuple[str, np.ndarray]],
    tolerance: float = TOLERANCE,
    precision: str = "f32",
) -> dict[str, Any]:
    """Run images through both and compare.

    Args:
        model: What was tested: images (1, 3, H, W) to their raw score and map.
        detector: The compiled bundle.
        images: Name and image (H, W, 3) float32 in [0, 1], at the model's size.
        tolerance: What is recorded as such; nothing is refused here.
        precision: The bundle's.

    Returns:
        ``images``, ``score_relative`` (largest |a - b| / |a|), ``map_relative`` (largest difference of a map over the
        map's largest value), ``flips`` (decisions that differ), ``flips_on_threshold`` (others that differ, of images
        whose score is the threshold up to rounding), ``flips_at`` (rule, value and threshold of these decisions),
        ``worst`` (name of the image behind ``score_relative``), ``tolerance``, ``precision``, ``replay`` (of the first
        :data:`REPLAYED` images that are files: the SHA-256 of the file, its frame where it has several, and torch's raw
        score; no paths, which may name patients).
    """
    point, decider = detector.bundle.card["operating_point"], detector.decider
    record: dict[str, Any] = {
        "images": 0,
        "score_relative": 0.0,
        "map_relative": 0.0,
        "flips": 0,
        "flips_on_threshold": 0,
        "flips_at": {name: point[name] for name in ("rule", "value", "threshold")},
        "worst": None,
        "replay": [],
    }
    contents = Contents()
    for name, image in images:
        with torch.inference_mode():
            expected = model(torch.from_numpy(image).permute(2, 0, 1)[None])
        raw = float(expected.pred_score[0])
        result = detector.score(image, name)
        difference = relative(raw, result.raw_score)
        record["images"] += 1
        if (kind := flip(decider, raw, result.abnormal)) is not None:
            record[kind] += 1
        if len(record["replay"]) < REPLAYED and (content := contents.of(name)) is not None:
            record["replay"].append({**content, "raw_score": raw})
        if difference >= record["score_relative"]:
            record["score_relative"], record["worst"] = difference, name
        if expected.anomaly_map is not None:
            assert result.raw_map is not None  # the graph has an output for each of the model's
            heat = placed(expected.anomaly_map.reshape(1, 1, *expected.anomaly_map.shape[-2:]), image.shape[:2])
            torch_map = heat[0, 0].numpy()
            difference = np.abs(torch_map - result.raw_map).max() / max(np.abs(torch_map).max(), 1e-12)
            record["map_relative"] = max(record["map_relative"], float(difference))
    return {**record, "tolerance": tolerance, "precision": precision}
