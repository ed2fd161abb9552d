"""Compute a test's pixel figures: gathered batch by batch in bounded memory, then given with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from medanomaly.evidence.bootstrap_figures import FigureSpec, estimate, estimates, proportion
from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.froc import Froc
from medanomaly.metrics.overlap import Overlap, OverlapCounts
from medanomaly.metrics.pixels import PixelCurves

#: Draws of the bootstrap: each touches some thousands of bins an image.
DRAWS = 200
#: FROC looks at maps of at most this side: a larger one is reduced to the maximum of blocks. About 25 ms an image.
FROC_SIDE = 256
#: False detections per normal image at which the sensitivity of FROC is given with its interval.
FROC_AT = (0.5, 1.0, 2.0, 4.0)
_NO_MASK = "no marked pixel is in the test set"


class PixelFigures:
    """What of the test's maps and masks the figures need, whatever the images' size.

    Some 16 kB an image, and 64 kB one with marked regions.

    Args:
        froc: Whether masks enclose lesions (boxes, circles), so that detections are counted rather than pixels.
    """

    def __init__(self, froc: bool = False) -> None:
        self.curves = PixelCurves()
        self.overlap = OverlapCounts()
        self.froc = Froc() if froc else None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.curves)

    def update(self, maps: torch.Tensor, masks: torch.Tensor, marked: torch.Tensor | None = None) -> None:
        """Add images.

        Args:
            maps: (B, H, W), in (0, 1), higher is more abnormal.
            masks: (B, H, W) of bool, the truth; all False for a normal image.
            marked: (B, H, W) of bool, what the model marks at its pixel threshold; None where it has none.
        """
        maps, masks = maps.detach().float().cpu(), masks.cpu().bool()
        self.curves.update(maps, masks)
        if marked is not None:
            self.overlap.update(marked.cpu().numpy(), masks.numpy())
        if self.froc is not None:
            self.froc.update(*(block_maximum(part.numpy(), FROC_SIDE) for part in (maps, masks)))

    def figures(self, groups: Any, mask_note: str = "", threshold: bool = True, seed: int = 0) -> dict[str, Any]:
        """The record ``evidence["pixel"]``: plain JSON values.

        Args:
            groups: Group of each image (n,).
            mask_note: What the masks mark, where it is not the exact lesion.
            threshold: Whether a pixel threshold was chosen, without which nothing can be said of Dice.
            seed: Seed of the bootstrap.
        """
        histograms = self.curves.stacked()
        bootstrap = GroupBootstrap(groups, DRAWS, seed)
        known = threshold and len(self.overlap) == len(self) > 0
        return {
            "images": len(histograms.region_number),
            "with_mask": int((histograms.region_number > 0).sum()),
            "regions": int(histograms.region_number.sum()),
            **estimates(histograms.areas, {"auroc": FigureSpec(_NO_MASK), "aupro": FigureSpec(_NO_MASK)}, bootstrap),
            "dice": dice_record(self.overlap.stacked(), bootstrap) if known else None,
            "froc": None if self.froc is None else froc_points(self.froc),
            "froc_at": [] if self.froc is None else froc_at(self.froc, bootstrap),
            "mask_note": mask_note,
        }


def undefined_figures(images: int, with_mask: int, reason: str, mask_note: str = "") -> dict[str, Any]:
    """The record of :meth:`PixelFigures.figures` where figures could not be made.

    Args:
        images: Images whose pixels were looked at.
        with_mask: How many of them have a mask.
        reason: Why nothing is known.
        mask_note: As there.
    """
    figure = {"value": None, "low": None, "high": None, "interval": "", "reason": reason}
    return {
        "images": images,
        "with_mask": with_mask,
        "regions": None,
        "auroc": figure,
        "aupro": dict(figure),
        "dice": None,
        "froc": None,
        "froc_at": [],
        "mask_note": mask_note,
    }


def dice_record(overlap: Overlap, bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Dice at the pixel threshold: the mean over images with a mask comes first, for each patient counts alike in it.

    ``pooled`` is of all their pixels together; ``normal`` says what is marked on normal images, which are in neither.
    """
    normal = overlap.truth == 0
    return {
        **estimate(overlap.per_image, bootstrap, _NO_MASK),
        "of": "mean over images with a mask",
        "images": int((~normal).sum()),
        "pooled": estimate(overlap.pooled, bootstrap, _NO_MASK),
        "normal": {
            "images": int(normal.sum()),
            "marked_share": estimate(overlap.marked_share, bootstrap, "no normal image is among them"),
            "any_marked": proportion(int((overlap.marked[normal] > 0).sum()), int(normal.sum())),
        },
    }


def froc_points(froc: Froc) -> list[dict[str, float]] | None:
    """The curve by rising false positives per normal image; None without regions or without normal images.

    At each number, the largest sensitivity at no more of them: towards low thresholds detections merge, and the bare
    curve turns back.
    """
    curve = froc.curve()
    if np.isnan(curve.sensitivity).any() or np.isnan(curve.false_positives).any():
        return None
    order = np.lexsort((curve.sensitivity, curve.false_positives))
    false, found = curve.false_positives[order], np.maximum.accumulate(curve.sensitivity[order])
    last = np.append(np.diff(false) > 0, True)
    return [
        {"false_positives": float(f), "sensitivity": float(s)} for f, s in zip(false[last], found[last], strict=True)
    ]


def froc_at(froc: Froc, bootstrap: GroupBootstrap) -> list[dict[str, Any]]:
    """Sensitivity with its interval at each of ``FROC_AT`` false detections per normal image."""
    reason = "FROC needs images with a mask and normal images"
    return [
        {"false_positives": at, **estimate(lambda w=None, at=at: froc.sensitivity_at(at, w), bootstrap, reason)}
        for at in FROC_AT
    ]


def block_maximum(images: np.ndarray, side: int) -> np.ndarray:
    """Reduce images (B, H, W) by a whole factor to the maximum of blocks, so that no side is longer than ``side``.

    Peaks keep their height and regions stay; detections less than a block apart may merge. Images that fit are returned
    as they are. A border that fills no block is padded with its own values.
    """
    factor = -(-max(images.shape[1:]) // side)
    if factor <= 1:
        return images
    height, width = (-(-length // factor) for length in images.shape[1:])
    pad = [(0, 0), (0, height * factor - images.shape[1]), (0, width * factor - images.shape[2])]
    padded = np.pad(images, pad, mode="edge") if any(sum(p) for p in pad) else images
    return padded.reshape(len(images), height, factor, width, factor).max(axis=(2, 4))
