"""Occlusion check: does the score fall more when the lesion is covered than when healthy tissue is?

A filled region may itself look strange to a model. So normal images are filled too, at the places of abnormal images'
masks: where both classes are filled, a trace of the fill is in both and cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from medanomaly.evidence.checks.context import BATCH, CheckError, Context, figure, tracked
from medanomaly.evidence.checks.inpaint import marked, place, poisson_paste, view, widened
from medanomaly.evidence.checks.split_images import subset
from medanomaly.metrics.delong import auroc_difference, auroc_interval

#: A mask that covers more of the frame leaves nothing to fill it from.
LARGEST = 0.5
#: Largest number of images of each class that are covered.
MOST = 1000
#: So many masks are tried on a normal image before it is left out.
_TRIES = 5
#: Shape and bits of a mask: a thousand masks of bytes would need a gigabyte.
_Packed = tuple[tuple[int, ...], np.ndarray]


@dataclass(frozen=True)
class Likewise:
    """Scores of normal images that were filled as the abnormal ones were.

    Args:
        rows: Their positions (k,) among the normal images.
        covered: Scores (k,) with a region filled at the place of an abnormal image's mask.
        control: Scores (k,) with an equal region elsewhere filled.
    """

    rows: np.ndarray
    covered: np.ndarray
    control: np.ndarray


def compare(
    normal: np.ndarray,
    shown: np.ndarray,
    covered: np.ndarray,
    control: np.ndarray,
    groups: np.ndarray,
    threshold: float | None = None,
    filled: Likewise | None = None,
) -> dict[str, Any]:
    """Scores of abnormal images as they are, with the lesion covered and with a control region covered.

    Args:
        normal: Scores (m,) of normal images, any range; higher is more abnormal.
        shown: Scores (n,) of abnormal images.
        covered: Scores (n,) of the same with the lesion covered.
        control: Scores (n,) of the same with an equal region elsewhere covered.
        groups: Group of each image (m + n,), normal ones first.
        threshold: Images that score above it are flagged; None if there is none.
        filled: Normal images filled likewise; None or of no image if there are none.

    Returns:
        Record as in :mod:`medanomaly.evidence.checks`, without the counts of images left out. Every AUROC is against
        the same normal images as they are, and in ``filled`` against those filled likewise; a difference (control minus
        covered) is paired.

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
        "filled": {"reason": "no normal image could be filled at the places of these masks"}
        if filled is None or not len(filled.rows)
        else _likewise(filled, normal, covered, control, groups, threshold),
    }


def _likewise(
    filled: Likewise,
    normal: np.ndarray,
    covered: np.ndarray,
    control: np.ndarray,
    groups: np.ndarray,
    threshold: float | None,
) -> dict[str, Any]:
    """The part ``filled`` of the record: both classes filled, and what the fill alone does to normal images."""
    own, number = normal[filled.rows], len(filled.rows)
    mine = groups[: len(normal)][filled.rows]
    both = np.concatenate([mine, groups[len(normal) :]])
    abnormal = np.arange(len(both)) >= number
    elsewhere, lesion = np.concatenate([filled.control, control]), np.concatenate([filled.covered, covered])
    alone = auroc_interval(np.concatenate([own, filled.covered]), np.arange(2 * number) >= number, np.tile(mine, 2))
    passed = None if threshold is None else own <= threshold
    return {
        "images": number,
        "auroc": figure(alone),
        "auroc_covered": figure(auroc_interval(lesion, abnormal, both)),
        "auroc_random": figure(auroc_interval(elsewhere, abnormal, both)),
        "difference": figure(auroc_difference(elsewhere, lesion, abnormal, both)),
        "passed": None if passed is None else int(passed.sum()),
        "flagged": None if passed is None else int((passed & (filled.covered > threshold)).sum()),
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
    return poisson_paste(image, np.argwhere(region), control, inside), poisson_paste(image, pixels, third, inside)


def check(context: Context) -> dict[str, Any]:
    """The record ``covering``, of at most 1,000 abnormal test images with masks and as many normal ones."""
    if not getattr(context.module, "has_masks", True):
        raise CheckError("no masks are known")
    data = subset(context.module, "test")
    context.confirm(data)
    number = {path: i for i, path in enumerate(data.paths)}
    paths = context.predictions["path"].tolist()
    # Artificial anomalies have a mask without a file.
    made = data.samples["artificial"].ne("").to_numpy() if "artificial" in data.samples else np.zeros(len(data), bool)
    marked = data.samples["mask_path"].ne("").to_numpy() | made
    if not marked.any():
        raise CheckError("no masks are known")
    rows = [i for i in np.flatnonzero(context.abnormal) if paths[i] in number and marked[number[paths[i]]]]
    if not rows:
        raise CheckError("no abnormal test image has a mask")
    drawn = np.array(rows)[context.sample(len(rows), MOST)]
    place_of = np.array([number.get(path, -1) for path in paths])
    lesions = _Covered(context, data, place_of)
    masks = lesions.cover(drawn, None, "occlusion of the lesion")
    if not lesions.kept:
        why = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in lesions.left.items() if count)
        raise CheckError(f"no mask could be covered beside a control ({why})")
    normal, both = np.flatnonzero(~context.abnormal), np.array(lesions.kept)
    known = normal[place_of[normal] >= 0]
    healthy = _Covered(context, data, place_of)
    healthy.cover(known[context.sample(len(known), MOST)], masks, "filling normal images likewise")
    figures = compare(
        context.scores[normal],
        context.scores[both],
        lesions.scores[0],
        lesions.scores[1],
        groups=context.groups[np.concatenate([normal, both])],
        threshold=context.threshold,
        filled=Likewise(np.searchsorted(normal, healthy.kept), *healthy.scores),
    )
    return {**figures, **lesions.left, "of": len(rows)}


class _Covered:
    """Covers images one batch at a time, and keeps their scores.

    Args:
        context: The run.
        data: The test images.
        place_of: For each test row its number in ``data``.
    """

    def __init__(self, context: Context, data: Any, place_of: np.ndarray) -> None:
        self._context, self._data, self._place_of = context, data, place_of
        self.left: dict[str, int] = {"no_control": 0, "too_large": 0, "empty": 0}
        self.kept: list[int] = []  # test rows that could be covered
        self._scores: list[np.ndarray] = []

    @property
    def scores(self) -> np.ndarray:
        """Scores (2, kept): with the region covered, and with the control covered."""
        return np.concatenate(self._scores).T if self._scores else np.zeros((2, 0))

    def cover(self, rows: np.ndarray, masks: list[_Packed] | None, what: str) -> list[_Packed]:
        """Cover test rows, at their own masks or at drawn ones of ``masks``; returns the masks that were used, packed.

        A drawn mask may not fit (outside of what is seen, no room beside it): another is drawn, a few times.
        """
        used: list[_Packed] = []
        batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        for batch in tracked(batches, what, len(rows)):
            read = self._data.__getitems__(self._place_of[batch].tolist())
            images = read.image.permute(0, 2, 3, 1).numpy()
            pairs = []
            for k, i in enumerate(batch):
                rng = np.random.default_rng([self._context.seed, int(i)])
                if masks is None:
                    tries = [read.gt_mask[k].numpy().astype(bool)]
                else:
                    drawn = rng.choice(len(masks), min(_TRIES, len(masks)), replace=False)
                    tries = [_unpacked(*masks[n]) for n in drawn]
                why = ""
                for mask in tries:
                    found = cover(images[k], mask, rng)
                    if isinstance(found, str):
                        why = found
                        continue
                    self.kept.append(int(i))
                    used.append((mask.shape, np.packbits(mask)))
                    pairs.append(np.stack(found))
                    break
                else:
                    self.left[why] += 1
            if pairs:
                stacked = torch.from_numpy(np.concatenate(pairs)).permute(0, 3, 1, 2).contiguous()
                self._scores.append(self._context.score(stacked).reshape(-1, 2))
        return used


def _unpacked(shape: tuple[int, ...], bits: np.ndarray) -> np.ndarray:
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)
