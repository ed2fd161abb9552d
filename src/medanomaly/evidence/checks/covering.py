"""Does the score fall when the marked lesion is covered, and more than when healthy tissue is?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from medanomaly.evidence.checks.context import BATCH, CheckError, Context, figure, tracked
from medanomaly.evidence.checks.fill import marked, place, replaced, view, widened
from medanomaly.evidence.delong import auroc_difference, auroc_interval

#: A mask that covers more of the frame leaves nothing to fill it from.
LARGEST = 0.5
#: At most so many abnormal images are covered.
MOST = 1000


def compare(
    normal: np.ndarray,
    shown: np.ndarray,
    covered: np.ndarray,
    control: np.ndarray,
    groups: np.ndarray,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Scores of abnormal images as they are, with the lesion covered and with a control region covered.

    Args:
        normal: Scores (m,) of normal images, any range; higher is more abnormal.
        shown: Scores (n,) of abnormal images.
        covered: Scores (n,) of the same with the lesion covered.
        control: Scores (n,) of the same with an equal region elsewhere covered.
        groups: Group of each image (m + n,), normal ones first.
        threshold: Images that score above it are flagged; None if there is none.

    Returns:
        Record as in :mod:`medanomaly.evidence.checks`, without the counts of images left out. Every AUROC is against
        the same normal images; the difference (control minus covered) is paired.

    Raises:
        CheckError: if there are no normal or no abnormal images.
        ValueError: if a score is NaN or infinite.
    """
    if not len(normal) or not len(shown):
        raise CheckError(f"there is no {'normal' if not len(normal) else 'abnormal'} test image to compare with")
    abnormal = np.arange(len(normal) + len(shown)) >= len(normal)
    scores = [np.concatenate([normal, part]) for part in (shown, covered, control)]
    flagged = None if threshold is None else shown > threshold
    return {
        "images": len(shown),
        "flagged": None if flagged is None else int(flagged.sum()),
        "flips_back": None if flagged is None else int((flagged & (covered <= threshold)).sum()),
        "random_flips_back": None if flagged is None else int((flagged & (control <= threshold)).sum()),
        "threshold": threshold,
        "lower": int((covered < control).sum()),
        "auroc": figure(auroc_interval(scores[0], abnormal, groups)),
        "auroc_covered": figure(auroc_interval(scores[1], abnormal, groups)),
        "auroc_random": figure(auroc_interval(scores[2], abnormal, groups)),
        "difference": figure(auroc_difference(scores[2], scores[1], abnormal, groups)),
    }


def cover(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | str:
    """An image with its marked region covered, and with an equal region elsewhere covered.

    The lesion gets its light and colour from its surroundings and its texture from the control's place; the control
    likewise, with texture from a third place (which may overlap it where there is little room).

    Args:
        image: (H, W, 3) float32 in [0, 1], as the model sees it.
        mask: (H, W) of bool.
        rng: Draws the place of the control.

    Returns:
        Both images (H, W, 3) float32, or why there are none: ``empty``, ``too_large`` or ``no_control``.
    """
    inside = view(image)
    if not (mask & inside).any():
        return "empty"
    if mask.mean() > LARGEST:
        return "too_large"
    region = widened(mask) & inside
    free = inside & ~region
    control = place(region, free, rng)
    if control is None:
        return "no_control"
    shape = marked(control, mask.shape)
    pixels, third = np.argwhere(shape), place(shape, free & ~shape, rng)
    if third is None:
        third = place(shape, free, rng)
    if third is None or np.array_equal(third, pixels):  # laid onto itself, the control would stay as it is
        return "no_control"
    return replaced(image, np.argwhere(region), control, inside), replaced(image, pixels, third, inside)


def check(context: Context) -> dict[str, Any]:
    """The record ``covering``, of at most 1,000 abnormal test images with masks."""
    if not getattr(context.module, "has_masks", False):
        raise CheckError("no masks are known")
    data = context.module.subset("test")
    context.confirm(data)
    number = {path: i for i, path in enumerate(data.paths)}
    paths = context.predictions["path"].tolist()
    # Artificial anomalies have a mask without a file.
    made = data.samples["artificial"].ne("").to_numpy() if "artificial" in data.samples else np.zeros(len(data), bool)
    marked = data.samples["mask_path"].ne("").to_numpy() | made
    rows = [i for i in np.flatnonzero(context.abnormal) if paths[i] in number and marked[number[paths[i]]]]
    if not rows:
        raise CheckError("no abnormal test image has a mask")
    drawn = np.array(rows)[context.sample(len(rows), MOST)]
    left: dict[str, int] = {"no_control": 0, "too_large": 0, "empty": 0}
    kept: list[int] = []
    scores: list[np.ndarray] = []
    batches = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
    for batch in tracked(batches, "covering the lesion", len(drawn)):
        read = data.__getitems__([number[paths[i]] for i in batch])
        pairs = []
        for i, image, mask in zip(batch, read.image.permute(0, 2, 3, 1).numpy(), read.gt_mask.numpy(), strict=True):
            made_of = cover(image, mask, np.random.default_rng([context.seed, int(i)]))
            if isinstance(made_of, str):
                left[made_of] += 1
            else:
                kept.append(int(i))
                pairs.append(np.stack(made_of))
        if pairs:
            images = torch.from_numpy(np.concatenate(pairs)).permute(0, 3, 1, 2).contiguous()
            scores.append(context.score(images).reshape(-1, 2))
    if not kept:
        why = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in left.items() if count)
        raise CheckError(f"no mask could be covered beside a control ({why})")
    normal = np.flatnonzero(~context.abnormal)
    both, (covered, control) = np.array(kept), np.concatenate(scores).T
    groups = context.groups[np.concatenate([normal, both])]
    figures = compare(context.scores[normal], context.scores[both], covered, control, groups, context.threshold)
    return {**figures, **left, "of": len(rows)}
