"""Collect a test's batches as they pass: rows of predictions, pixel histograms, some pictures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from medanomaly.decision.score import to_unit
from medanomaly.evidence import predictions
from medanomaly.evidence.pixel_figures import PixelFigures, undefined_figures
from medanomaly.evidence.stages import ScoreError, Stages
from medanomaly.report.gallery import Gallery
from medanomaly.runs.step_outputs import NOT_KEPT
from medanomaly.runs.tested_model import placed

#: Stages of collecting.
ROWS, PARTS, PICTURES, PIXELS = "predictions", "parts of the score", "pictures", "pixel figures"


class CollectedBatches:
    """A test's batches.

    Rows come first; parts, pixels and pictures are each collected until one of them fails, which costs the others
    nothing.

    Args:
        stages: Where failures go.
        gallery: Keeps pictures.
        pixels: Keeps histograms.
    """

    def __init__(self, stages: Stages, gallery: Gallery, pixels: PixelFigures) -> None:
        self.stages, self.gallery, self.pixels = stages, gallery, pixels
        self.rows: list[dict[str, Any]] = []
        #: Numbers of the rows whose pixels were kept, and how many of them have a mask.
        self.pixel_rows: list[int] = []
        self.with_mask = 0
        #: Why there are no raw scores, or no raw maps; None where there are.
        self.unranked: str | None = None
        self.unmapped: str | None = None
        self._scale: tuple[float, float] | None = None

    def pixel_figures(self, groups: np.ndarray, note: str, threshold: bool) -> dict[str, Any] | None:
        """``evidence["pixel"]``; undefined where maps and masks were measured in vain, None where there were none.

        Args:
            groups: Group of each row (n,).
            note: What the masks mark, where it is not the exact lesion.
            threshold: Whether pixels were marked by a threshold.
        """
        if not len(self.pixels) and self.unmapped is None and not self.stages.has_failed(PIXELS):
            return None
        if self.unmapped is None and not self.stages.has_failed(PIXELS):
            with self.stages.stage(PIXELS):
                return self.pixels.figures(groups[self.pixel_rows], note, threshold)
        reason = self.unmapped or self.stages.reason(PIXELS)
        return undefined_figures(len(self.pixel_rows), self.with_mask, reason, note)

    def add(self, batch: Any, part_names: tuple[str, ...], post: Any) -> None:
        """Keep a batch.

        Args:
            batch: As :class:`~medanomaly.runs.step_outputs.StepOutputs` and the post-processor leave it.
            part_names: Names of the score's parts, where the batch has ``parts``.
            post: The post-processor, or None.
        """
        if getattr(batch, "raw_score", None) is None:
            self.unranked = NOT_KEPT
        first, rows = len(self.rows), None
        with self.stages.stage(ROWS, once=True):
            rows = predictions.rows_of(batch, first)
        if rows is None:
            return
        self.rows += rows
        if part_names:
            self.stages.attempt(PARTS, lambda: self._add_parts(rows, batch, part_names))
        self.stages.attempt(PICTURES, lambda: self._offer(rows, batch, post, first))
        if batch.anomaly_map is None or batch.gt_mask is None:
            return
        if getattr(batch, "raw_map", None) is None and not hasattr(post, "record"):
            self.unmapped = NOT_KEPT
        else:
            self.stages.attempt(PIXELS, lambda: self._measure(rows, batch, first))

    def _add_parts(self, rows: list[dict[str, Any]], batch: Any, names: tuple[str, ...]) -> None:
        for row, parts in zip(rows, predictions.parts_of(batch, names), strict=True):
            row.update(parts)

    def _offer(self, rows: list[dict[str, Any]], batch: Any, post: Any, first: int) -> None:
        shown: Any = batch
        raw_map = getattr(batch, "raw_map", None)
        if raw_map is not None and raw_map.shape == batch.anomaly_map.shape and torch.equal(raw_map, batch.anomaly_map):
            # Not mapped to (0, 1): there is no colour for it.
            shown = SimpleNamespace(image=batch.image, anomaly_map=None, gt_mask=batch.gt_mask)
        distances: list[float] = []
        if hasattr(post, "deciding"):
            distances = post.ranking_score(batch.raw_score.flatten().to(post.image_centre.device)).cpu().tolist()
        mapped = hasattr(post, "record") or any(row.get("score") != row.get("raw_score") for row in rows)
        for i, row in enumerate(rows):
            known = row if mapped else {name: value for name, value in row.items() if name != "score"}
            self.gallery.offer(shown, i, known | ({"distance": distances[i]} if distances else {}), first + i)

    def _measure(self, rows: list[dict[str, Any]], batch: Any, first: int) -> None:
        """Histograms of the images whose pixels are known: normal ones, and abnormal ones with a mask.

        Maps of another size than the masks, from a network that does not enlarge its own, are brought to theirs.
        """
        marked = batch.gt_mask.flatten(1).any(dim=1).cpu().numpy()
        known = np.flatnonzero(~np.array([row["abnormal"] for row in rows], dtype=bool) | marked)
        if not len(known):
            return
        index = torch.as_tensor(known)
        size = tuple(batch.gt_mask.shape[-2:])
        maps = placed(_one_channel(self._unit(batch)).float(), size)[:, 0].cpu()[index]
        if not torch.isfinite(maps).all():
            bad = int((~torch.isfinite(maps)).flatten(1).any(dim=1).sum())
            raise ScoreError(f"heat maps hold NaN or infinite values, {bad} of {len(maps)} in a batch")
        marks = batch.pred_mask
        if marks is not None:
            marks = placed(_one_channel(marks).float(), size)[:, 0].cpu()[index] > 0.5
        self.pixels.update(maps, batch.gt_mask.cpu()[index], marks)
        self.pixel_rows += (first + known).tolist()
        self.with_mask += int(marked[known].sum())

    def _unit(self, batch: Any) -> torch.Tensor:
        """Maps in (0, 1) that keep the order of the model's own.

        An operating point's do. Another post-processor's are clamped, so the raw ones are mapped by the median and the
        spread of the first batch.
        """
        heat = getattr(batch, "raw_map", None)
        if heat is None:
            return batch.anomaly_map
        heat = heat.reshape(batch.anomaly_map.shape).float()
        if self._scale is None:
            low, middle, high = np.nanquantile(heat.cpu().numpy(), [0.25, 0.5, 0.75]).tolist()
            self._scale = middle, (high - low) / 2 or abs(middle) or 1.0
        return to_unit(heat, *self._scale)


def _one_channel(maps: torch.Tensor) -> torch.Tensor:
    """Maps (B, …, h, w) as (B, 1, h, w)."""
    return maps.reshape(len(maps), 1, *maps.shape[-2:])
