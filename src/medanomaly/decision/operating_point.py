"""The operating point as anomalib's post-processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from anomalib.data import InferenceBatch
from anomalib.post_processing import PostProcessor
from lightning import LightningModule, Trainer

from medanomaly.decision.rules import check_rule, choose_scale, choose_threshold, question
from medanomaly.decision.score import to_unit

#: Pixels of one image that take part in choosing the pixel threshold: all of a 128 px map, an even sample of larger.
_PIXELS_PER_IMAGE = 16_384


class OperatingPoint(PostProcessor):
    """Choose a threshold by a stated rule on validation scores, and map raw scores to (0, 1) without clamping.

    anomalib's own post-processor clamps scores to [0, 1] before its metrics see them, which changes every rank metric
    (0.888 became 0.700 in a trial with normals-only validation). Here the map is strictly monotone, so AUROC before
    and after it is the same, and 0.5 is the threshold.

    Args:
        rule: ``sigma``, ``quantile``, ``f1`` or ``manual``, see :mod:`medanomaly.decision.rules`.
        value: The rule's parameter; None for its default (2, 0.95, none, must be given).
        pixel_rule: Rule for the pixel threshold, among the pixels of validation images.
        pixel_value: Its parameter; 0.995 by default: in a healthy image about one pixel in 200 is marked.

    Raises:
        RuleError: for an unknown rule or a value out of range.
    """

    _keys = ("rule", "value", "pixel_rule", "pixel_value")

    def __init__(
        self,
        rule: str = "quantile",
        value: float | None = None,
        pixel_rule: str = "quantile",
        pixel_value: float | None = 0.995,
    ) -> None:
        super().__init__()
        self.rule, self.value = rule, check_rule(rule, value)
        self.pixel_rule, self.pixel_value = pixel_rule, check_rule(pixel_rule, pixel_value)
        self.image_scale: torch.Tensor
        self.pixel_scale: torch.Tensor
        self.fitted_on: torch.Tensor
        self.register_buffer("image_scale", torch.tensor(float("nan")))
        self.register_buffer("pixel_scale", torch.tensor(float("nan")))
        self.register_buffer("fitted_on", torch.zeros(2, dtype=torch.long))  # normal, abnormal validation images
        self._clear()

    def _clear(self) -> None:
        self._scores: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._pixels: list[np.ndarray] = []
        self._pixel_labels: list[np.ndarray] = []

    @property
    def _checkpoint_config_keys(self) -> tuple[str, ...]:
        return self._keys

    # Validation: collect raw scores, then choose.

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what an interrupted validation left."""
        del trainer, pl_module
        self._clear()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Keep the batch's raw scores and a bounded sample of its map."""
        del trainer, pl_module, args, kwargs
        if outputs.gt_label is None:
            return
        self._scores.append(outputs.pred_score.detach().flatten().cpu().numpy())
        self._labels.append(outputs.gt_label.flatten().cpu().numpy().astype(bool))
        if outputs.anomaly_map is None:
            return
        maps = outputs.anomaly_map.detach().flatten(1).cpu().numpy()
        truth = (
            outputs.gt_mask.flatten(1).cpu().numpy()
            if outputs.gt_mask is not None
            else np.zeros(maps.shape, dtype=bool)
        )
        # Pixels of an abnormal image whose mask is unknown are neither normal nor abnormal: leave them out.
        known = ~self._labels[-1] | truth.any(axis=1)
        step = max(1, -(-maps.shape[1] // _PIXELS_PER_IMAGE))
        self._pixels.append(maps[known, ::step].ravel())
        self._pixel_labels.append(truth[known, ::step].ravel())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose both thresholds, and remember on how many images."""
        del pl_module
        # Lightning's sanity check sees a few batches, often of one class, before any training.
        if self._scores and not trainer.sanity_checking:
            self.fit(np.concatenate(self._scores), np.concatenate(self._labels))
            if self._pixels:
                self.fit_pixels(np.concatenate(self._pixels), np.concatenate(self._pixel_labels))
        self._clear()

    def fit(self, scores: np.ndarray, abnormal: np.ndarray) -> None:
        """Choose the image threshold from raw validation scores (n,) and their truth (n,) of bool."""
        normal = scores[~abnormal]
        threshold = choose_threshold(self.rule, self.value, normal, scores[abnormal])
        self._image_threshold.fill_(threshold)
        self.image_scale.fill_(choose_scale(threshold, normal))
        self.fitted_on.copy_(torch.tensor([len(normal), int(abnormal.sum())]))

    def fit_pixels(self, pixels: np.ndarray, abnormal: np.ndarray) -> None:
        """Choose the pixel threshold from raw map values (n,) and their truth (n,) of bool."""
        normal = pixels[~abnormal]
        threshold = choose_threshold(self.pixel_rule, self.pixel_value, normal, pixels[abnormal])
        self._pixel_threshold.fill_(threshold)
        self.pixel_scale.fill_(choose_scale(threshold, normal))

    # Test and prediction: decide on raw scores, then map them.

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Turn raw scores into scores, decisions and masks; the raw ones stay in ``outputs.raw_score``."""
        del trainer, pl_module, args, kwargs
        self.post_process_batch(outputs)

    on_predict_batch_end = on_test_batch_end

    def post_process_batch(self, batch: Any) -> None:
        """Set ``raw_score``, ``pred_score``, ``pred_label``, ``anomaly_map`` and ``pred_mask`` of an ``ImageBatch``.

        Raises:
            RuntimeError: if no threshold was chosen yet.
        """
        self._require_fit()
        batch.raw_score = batch.pred_score.detach().clone()
        decided = self(InferenceBatch(pred_score=batch.pred_score, anomaly_map=batch.anomaly_map))
        batch.update(**decided._asdict())

    def forward(self, predictions: InferenceBatch) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) or None to scores in (0, 1), decisions and masks. Traced on export."""
        raw, raw_map = predictions.pred_score, predictions.anomaly_map
        assert raw is not None
        anomaly_map = pred_mask = None
        if raw_map is not None:
            anomaly_map = to_unit(raw_map, self._pixel_threshold, self.pixel_scale)
            pred_mask = raw_map > self._pixel_threshold
        return InferenceBatch(
            pred_score=to_unit(raw, self._image_threshold, self.image_scale),
            pred_label=raw > self._image_threshold,
            anomaly_map=anomaly_map,
            pred_mask=pred_mask,
        )

    def _require_fit(self) -> None:
        if torch.isnan(self._image_threshold):
            raise RuntimeError(
                "No operating point has been chosen: the model was never validated. Train with validation images, or "
                "load a checkpoint that was (--ckpt_path)."
            )

    def record(self) -> dict[str, Any]:
        """The operating point as plain JSON values: rules, raw thresholds, scales, and what they were fitted on."""
        self._require_fit()
        has_pixels = not torch.isnan(self._pixel_threshold)
        return {
            "rule": self.rule,
            "value": self.value,
            "question": question(self.rule, self.value),
            "threshold": float(self._image_threshold),
            "scale": float(self.image_scale),
            "fitted_on": {"normal": int(self.fitted_on[0]), "abnormal": int(self.fitted_on[1])},
            "pixel": {
                "rule": self.pixel_rule,
                "value": self.pixel_value,
                "question": question(self.pixel_rule, self.pixel_value).replace("images", "pixels"),
                "threshold": float(self._pixel_threshold),
                "scale": float(self.pixel_scale),
            }
            if has_pixels
            else None,
        }
