"""Proof that the exported graph gives the scores of the torch model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from medanomaly.edge import Detector

#: Largest relative difference of raw scores that an f32 export may show.
TOLERANCE = 1e-4
#: A score this close to the threshold, relative to the larger of both, lies on it up to rounding. Rules such as
#: ``conformal`` take a validation image's score as the threshold, and that very image may be among these.
ON_THRESHOLD = 1e-5


def parity(model: torch.nn.Module, detector: Detector, images: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """Run images through both and compare.

    Args:
        model: The torch model, returning raw score and map in evaluation mode.
        detector: The compiled bundle.
        images: Name and image (H, W, 3) float32 in [0, 1], at the model's size.

    Returns:
        ``images``, ``score_relative`` (largest |a - b| / |a|), ``map_relative`` (largest difference of a map over the
        map's largest value), ``flips`` (decisions that differ), ``flips_on_threshold`` (others that differ, of images
        whose score is the threshold up to rounding), ``flips_at`` (rule, value and threshold of these decisions),
        ``worst`` (name of the image behind ``score_relative``), ``tolerance``.
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
    }
    for name, image in images:
        with torch.inference_mode():
            expected = model(torch.from_numpy(image).permute(2, 0, 1)[None])
        raw = float(expected.pred_score[0])
        result = detector.score(image, name)
        difference = abs(raw - result.raw_score) / max(abs(raw), 1e-12)
        record["images"] += 1
        if decider.abnormal(raw) != result.abnormal:
            distance = abs(float(decider.deciding(raw)) - float(decider.threshold))
            close = distance <= ON_THRESHOLD * max(abs(raw), abs(float(decider.threshold)))
            record["flips_on_threshold" if close else "flips"] += 1
        if difference >= record["score_relative"]:
            record["score_relative"], record["worst"] = difference, name
        if expected.anomaly_map is not None:
            assert result.raw_map is not None  # the graph has an output for each of the model's
            torch_map = expected.anomaly_map[0, 0].numpy()
            difference = np.abs(torch_map - result.raw_map).max() / max(np.abs(torch_map).max(), 1e-12)
            record["map_relative"] = max(record["map_relative"], float(difference))
    return {**record, "tolerance": TOLERANCE, "precision": "f32"}
