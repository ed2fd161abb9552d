"""``OperatingPoint``, anomalib's post-processor with a threshold rule: fits on validation, decides on the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from anomalib.data import InferenceBatch
from lightning import LightningModule, Trainer

from medanomaly import distributed
from medanomaly.anomalib_compat.thresholds import ThresholdBuffers
from medanomaly.csv_cells import some
from medanomaly.decision.decision_function import record
from medanomaly.decision.packed_scores import pack_scores, unpack_scores
from medanomaly.decision.rules import RULES, Fitted, RuleError, Value, check_rule, fit, question
from medanomaly.decision.score import ranking_score, to_unit
from medanomaly.decision.seen_images import Seen, seen


class OperatingPoint(ThresholdBuffers):
    """Choose a threshold by a stated rule on validation scores, and map raw scores to (0, 1) without clamping.

    anomalib's own post-processor clamps scores to [0, 1] before its metrics see them, which changes every rank metric
    (0.888 became 0.700 in a trial with normals-only validation). Here the map is strictly monotone, so AUROC before
    and after it is the same, and 0.5 is the threshold.

    The scores that it was fitted on stay with it, in a buffer of the checkpoint, so that another rule needs no
    training (``medanomaly decide``) and ``conformal`` can give p-values.

    Args:
        rule: One of ``medanomaly.decision.rules.RULES``; docs/decisions.md says what each is for.
        value: The rule's parameter, a number or, for ``cost``, ``{miss: …, alarm: …, prevalence: …}``; None for the
            rule's default.
        pixel_rule: Rule for the pixel threshold, among the pixels of validation images.
        pixel_value: Its parameter; 0.995 by default: in a healthy image about one pixel in 200 is marked.

    Raises:
        RuleError: for an unknown rule, a pixel rule that is for images only, or a value out of range.
    """

    _keys = ("rule", "value", "pixel_rule", "pixel_value", "history")

    def __init__(
        self,
        rule: str = "quantile",
        value: float | dict[str, float] | None = None,
        pixel_rule: str = "quantile",
        pixel_value: float | dict[str, float] | None = 0.995,
    ) -> None:
        super().__init__()
        self.set_rule(rule, value)
        self.set_pixel_rule(pixel_rule, pixel_value)
        #: Records of earlier operating points of the same weights, each with ``until``: when it was changed.
        self.history: list[dict[str, Any]] = []
        self.image_scale: torch.Tensor
        self.image_centre: torch.Tensor
        self.pixel_scale: torch.Tensor
        self.fitted_on: torch.Tensor
        self.packed: torch.Tensor
        self.register_buffer("image_scale", torch.tensor(float("nan")))
        self.register_buffer("image_centre", torch.tensor(float("nan")))  # of a two-sided rule
        self.register_buffer("pixel_scale", torch.tensor(float("nan")))
        self.register_buffer("fitted_on", torch.zeros(2, dtype=torch.long))  # normal, abnormal validation images
        self.register_buffer("packed", torch.zeros(0, dtype=torch.uint8))  # the validation scores
        self._clear()

    def set_rule(self, rule: str, value: Value | None) -> None:
        """Take another image rule; it holds from the next :meth:`fit` on."""
        self.rule, self.value = rule, check_rule(rule, value)

    def set_pixel_rule(self, rule: str, value: Value | None) -> None:
        """Take another pixel rule; it holds from the next :meth:`fit_pixels` on."""
        self.pixel_rule, self.pixel_value = rule, check_rule(rule, value, "pixels")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        # The number of validation images is the checkpoint's; earlier ones had neither of these buffers.
        for name in ("packed", "image_centre"):
            stored = state_dict.setdefault(prefix + name, getattr(self, name))
            setattr(self, name, torch.empty_like(stored, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _clear(self) -> None:
        self._seen: list[Seen] = []

    def checkpoint_config(self) -> dict[str, Any]:
        """The rules and the history, as plain values of a checkpoint."""
        return {key: getattr(self, key) for key in self._keys}

    def load_checkpoint_config(self, config: dict[str, Any]) -> None:
        """Take back what :meth:`checkpoint_config` gave; an older checkpoint may lack some of it."""
        for key in self._keys:
            if key in config:
                setattr(self, key, config[key])

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
        self._seen += seen(outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose both thresholds, and remember on which scores."""
        # Lightning's sanity check sees a few batches, often of one class, before any training.
        if not trainer.sanity_checking:
            self._seen = distributed.gather_rows(
                self._seen, distributed.dataset_length(getattr(trainer, "val_dataloaders", None))
            )
            if self._seen:
                self.fit_collected(pl_module)
        self._clear()

    def fit_collected(self, pl_module: LightningModule, images: bool = True, pixels: bool = True) -> None:
        """Choose the thresholds that are asked for from the batches collected since the last validation began."""
        if images:
            names = getattr(getattr(pl_module, "model", None), "part_names", ())
            columns = np.array([i.parts for i in self._seen]).T if self._seen[0].parts is not None else ()
            scores, labels = np.array([i.score for i in self._seen]), np.array([i.abnormal for i in self._seen])
            parts = dict(zip(names, columns, strict=True)) if len(columns) else {}
            self.fit(scores, labels, [image.path for image in self._seen], parts)
        known = [(i.pixels, i.marked) for i in self._seen if i.pixels is not None and i.marked is not None]
        if pixels and known:
            self.fit_pixels(*(np.concatenate(part) for part in zip(*known, strict=True)))

    def fit(
        self,
        scores: np.ndarray,
        abnormal: np.ndarray,
        paths: Sequence[str] = (),
        parts: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Choose the image threshold, and keep what it was chosen from.

        Args:
            scores: Raw validation scores (n,).
            abnormal: Their truth (n,) of bool.
            paths: Their images (n,), as far as known.
            parts: What each score is made of, (n,) by name.

        Raises:
            RuleError: if the rule cannot be applied to them.
        """
        bad = np.flatnonzero(~np.isfinite(scores))
        if 0 < len(bad) < len(scores) and len(paths) == len(scores):
            raise RuleError(
                f"{len(bad)} of {len(scores)} validation images have a score that is NaN or infinite: "
                f"{some(paths[int(i)] for i in bad)}. Look at these images, or leave them out; lower the learning "
                "rate if they are more with each epoch."
            )
        chosen = fit(self.rule, self.value, scores, abnormal)
        self.image_threshold.fill_(chosen.threshold)
        self.image_scale.fill_(chosen.scale)
        self.image_centre.fill_(float("nan") if chosen.centre is None else chosen.centre)
        self.fitted_on.copy_(torch.tensor([int((~abnormal).sum()), int(abnormal.sum())]))
        rows = {
            "path": list(paths),
            "abnormal": abnormal.tolist(),
            "raw_score": scores.astype(float).tolist(),
            "parts": {name: column.astype(float).tolist() for name, column in (parts or {}).items()},
        }
        self.packed = pack_scores(rows).to(self.fitted_on.device)

    def fit_pixels(self, pixels: np.ndarray, abnormal: np.ndarray) -> None:
        """Choose the pixel threshold from raw map values (n,) and their truth (n,) of bool."""
        chosen = fit(self.pixel_rule, self.pixel_value, pixels, abnormal, "pixels")
        self.pixel_threshold.fill_(chosen.threshold)
        self.pixel_scale.fill_(chosen.scale)

    @property
    def validation(self) -> dict[str, Any]:
        """The scores it was fitted on: lists ``path``, ``abnormal``, ``raw_score``, and ``parts`` by name; {} if none.

        ``path`` is empty where the images are not known.
        """
        return unpack_scores(self.packed)

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
        assert predictions.pred_score is not None
        score, raw_map = self.ranking_score(predictions.pred_score), predictions.anomaly_map
        anomaly_map = pred_mask = None
        if raw_map is not None:
            anomaly_map = to_unit(raw_map, self.pixel_threshold, self.pixel_scale)
            pred_mask = raw_map > self.pixel_threshold
        return InferenceBatch(
            pred_score=to_unit(score, self.image_threshold, self.image_scale),
            pred_label=score > self.image_threshold,
            anomaly_map=anomaly_map,
            pred_mask=pred_mask,
        )

    def ranking_score(self, raw: torch.Tensor) -> torch.Tensor:
        """Raw scores (B,) to those that are compared with the threshold: of a two-sided rule, distances."""
        return ranking_score(raw, self.image_centre if RULES[self.rule].centre else None)

    def _require_fit(self) -> None:
        if torch.isnan(self.image_threshold):
            raise RuntimeError(
                "No operating point has been chosen: the model was never validated. Train with validation images, or "
                "load a checkpoint that was (--ckpt_path)."
            )

    def record(self) -> dict[str, Any]:
        """The operating point as plain JSON values: rules, raw thresholds, scales, what they were fitted on, history.

        See :func:`medanomaly.decision.decision_function.record`.
        """
        self._require_fit()
        rows = self.validation
        normal = np.array(rows.get("raw_score", []))[~np.array(rows.get("abnormal", []), dtype=bool)]
        centre = float(self.image_centre) if RULES[self.rule].centre else None
        chosen = Fitted(float(self.image_threshold), float(self.image_scale), centre)
        fitted_on = {"normal": int(self.fitted_on[0]), "abnormal": int(self.fitted_on[1])}
        point = record(self.rule, self.value, chosen, normal, fitted_on)
        point["pixel"] = None
        if not torch.isnan(self.pixel_threshold):
            point["pixel"] = {
                "rule": self.pixel_rule,
                "value": self.pixel_value,
                "question": question(self.pixel_rule, self.pixel_value).replace("image", "pixel"),
                "threshold": float(self.pixel_threshold),
                "scale": float(self.pixel_scale),
            }
        if self.history:
            point["history"] = self.history
        return point
