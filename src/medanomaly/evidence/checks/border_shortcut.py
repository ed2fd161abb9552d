"""Check for a border shortcut: does the border of what the model sees tell the classes apart without any lesion?"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from medanomaly.evidence.checks.context import BATCH, CheckError, Context, tracked
from medanomaly.evidence.checks.paired_baseline import FEWEST, Values, compare
from medanomaly.evidence.checks.split_images import subset
from medanomaly.evidence.checks.trivial_baseline import MOST

#: Width of the border as a share of the shorter side.
SHARE = 0.08
#: Grey below which a pixel is dark.
_DARK = 10 / 255


def border(shape: tuple[int, int], share: float = SHARE) -> tuple[np.ndarray, int]:
    """The outer ring of an image of ``shape`` (H, W): bool (H, W), and its width in pixels (at least 1)."""
    width = max(1, round(share * min(shape)))
    ring = np.ones(shape, dtype=bool)
    ring[width:-width, width:-width] = False
    return ring, width


def of_image(image: np.ndarray) -> dict[str, float]:
    """Numbers of the border and the corners alone.

    Args:
        image: (H, W, 3) float32 in [0, 1], as the model sees it.

    Returns:
        Mean, spread (standard deviation) and darkness (share below 10 of 255) of the ring's grey, and the mean grey of
        each corner square, all in [0, 1].
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    ring, width = border((grey.shape[0], grey.shape[1]))
    rim = grey[ring]
    first, last = slice(None, width), slice(-width, None)
    return {
        "border mean": float(rim.mean()),
        "border spread": float(rim.std()),
        "border darkness": float((rim < _DARK).mean()),
        "top left corner": float(grey[first, first].mean()),
        "top right corner": float(grey[first, last].mean()),
        "bottom left corner": float(grey[last, first].mean()),
        "bottom right corner": float(grey[last, last].mean()),
    }


def clear_of_border(masks: np.ndarray) -> np.ndarray:
    """Which of the masks (n, H, W) of bool mark something, and nothing of it in the border: (n,) of bool."""
    ring, _ = border((masks.shape[1], masks.shape[2]))
    return masks.any(axis=(1, 2)) & ~(masks & ring).any(axis=(1, 2))


def check(context: Context) -> dict[str, Any]:
    """The record ``field_of_view``.

    A lesion that reaches the border is no shortcut. So where masks are known, abnormal images count only if their
    mask leaves the border free; with fewer than 10 such test images all count, and the note says so.
    """
    data = subset(context.module, "test")
    number = {path: i for i, path in enumerate(data.paths)}
    paths = context.predictions["path"].tolist()
    rows = np.array([i for i, path in enumerate(paths) if path in number], dtype=np.int64)
    rows = rows[context.sample(len(rows), MOST)]
    test, clear = _values(data, np.array([number[paths[i]] for i in rows], dtype=np.int64), "border, test")
    validation, clear_validation = _of_validation(context)
    note, scores, left_out = "", context.scores[rows], len(paths) - len(rows)
    if clear is None:
        note = "No masks are known: a lesion that reaches the border counts as border."
    elif int((clear & test.abnormal).sum()) < FEWEST:
        note = "In too few abnormal images does the mask leave the border free: a lesion in it counts as border."
    else:
        keep = clear | ~test.abnormal
        note = f"Without {int((~keep).sum())} abnormal images whose lesion reaches the border."
        left_out += int((~keep).sum())
        test, scores = test.only(keep), scores[keep]
        if validation is not None and clear_validation is not None:
            kept = validation.only(clear_validation | ~validation.abnormal)
            validation = kept if kept.enough else validation
    return {**compare(test, scores, validation), "left_out": left_out, "note": note}


def _of_validation(context: Context) -> tuple[Values | None, np.ndarray | None]:
    """Numbers of validation images; None without abnormal ones, or where a foreign data module has no validation."""
    try:
        listed = subset(context.module, "val")
    except CheckError:
        return None, None
    if not listed.abnormal.any():
        return None, None
    return _values(listed, context.sample(len(listed), MOST), "border, validation")


def _values(data: Any, rows: np.ndarray, what: str) -> tuple[Values, np.ndarray | None]:
    """Numbers of some images of a data set, and whether a mask is known that leaves the border free."""
    found: list[dict[str, float]] = []
    clear: list[np.ndarray] = []
    batches = [rows[start : start + BATCH].tolist() for start in range(0, len(rows), BATCH)]
    for batch in tracked(batches, what, len(rows)):
        read = data.__getitems__(batch)
        found += [of_image(image) for image in read.image.permute(0, 2, 3, 1).numpy()]
        if read.gt_mask is not None:
            clear.append(clear_of_border(read.gt_mask.numpy()))
    names = found[0] if found else {}
    numbers = {name: np.array([one[name] for one in found]) for name in names}
    groups = data.samples["group"].astype(str).to_numpy()[rows]
    return Values(numbers, data.abnormal.numpy()[rows], groups), np.concatenate(clear) if clear else None
