"""Picture rows of the report: image, heat map and outline of a case, small enough to embed."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np

from medanomaly.imaging import outline, overlay

#: Bytes that all pictures of a page may take at worst, as base64 of noise that PNG cannot shrink.
_PICTURE_BUDGET = 8_500_000
_SHOWN = 160  # pixels of the page along the longer side of a picture
_SIDES = (64, 2 * _SHOWN)

#: Kinds of cases that the page always names, even where there is none; others follow.
KINDS = ("false alarm", "miss", "hit", "borderline")


@dataclass(frozen=True)
class Case:
    """One picture row of the report."""

    kind: str  #: one of KINDS
    path: str  #: path of the image; its file name is shown, the whole path is in the title attribute
    label: str  #: name of the class, such as "normal" or "bleeding"
    raw_score: float | None  #: in the unit of the model; None where it is not known
    score: float | None  #: in (0, 1), 0.5 at the operating point; None where none was mapped
    decision: bool | None  #: True where the image is flagged as abnormal; None where nothing was decided
    image: np.ndarray  #: (H, W, 3) float32 in [0, 1], RGB
    heat: np.ndarray | None  #: (H, W) float32 in (0, 1), 0.5 at the pixel threshold
    mask: np.ndarray | None  #: (H, W) bool, the truth where it is known; one that marks nothing is not shown


def galleries(cases: Sequence[Case]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Cases with their pictures by kind, in the order of the page; [] without cases."""
    panels = sum(1 + (case.heat is not None) + (case.mask is not None) for case in cases)
    side = int(np.clip(math.sqrt(_PICTURE_BUDGET / (4 * max(panels, 1))), *_SIDES))
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS} if cases else {}
    for case in cases:
        name = PurePath(case.path).name or case.path
        rows.setdefault(case.kind, []).append({"case": case, "name": name, "panels": _panels(case, side)})
    return list(rows.items())


def _panels(case: Case, side: int) -> list[dict[str, Any]]:
    """Image, heat map and outline of a case, none of them longer than ``side`` pixels."""
    height, width = case.image.shape[:2]
    factor = min(1.0, side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = _fit(case.image, size)
    shown = [("image", np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))]
    if case.heat is not None:
        shown.append(("heat map", overlay(image, _fit(case.heat, size))))
    if case.mask is not None and case.mask.any():
        mask = _fit(case.mask, size) > 0
        picture = outline(image, mask)
        if max(size) > _SHOWN:  # it will be scaled down: a second line outside the first keeps the outline visible
            wider = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            picture = outline(picture.astype(np.float32) / 255, wider)
        shown.append(("truth outline", picture))
    return [{"name": name, "uri": _uri(picture), "width": size[0], "height": size[1], "small": max(size) < _SHOWN}
            for name, picture in shown]  # fmt: skip


def _uri(picture: np.ndarray) -> str:
    """An (H, W, 3) uint8 RGB picture as PNG in a data URI."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[:, :, ::-1]))
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of shape {picture.shape}")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _fit(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (H, W) or (H, W, 3) array as finite float32, resized to ``size`` = (width, height) where that differs."""
    array = np.nan_to_num(np.asarray(array, dtype=np.float32))
    shrinks = size[0] < array.shape[1]
    same = size == (array.shape[1], array.shape[0])
    return array if same else cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
