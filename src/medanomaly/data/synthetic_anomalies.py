"""Make synthetic anomalies: known changes to normal images, to ask what a detector can see at all.

They are made in the image that the model sees, (H, W, 3) float32 in [0, 1] at the model's size, and are no substitute
for disease: a detector that finds them may still miss every real lesion. Cut-paste follows Li et al., "CutPaste"
(CVPR 2021) in its shares of area and side ratios; the blurred and the brighter or darker regions are our own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from medanomaly.data.foreign_images import foreign
from medanomaly.imaging import ImageError, Preprocessing
from medanomaly.spec import Spec

#: Kinds with their default amount (None: the kind takes none).
KINDS: dict[str, float | None] = {"noise": 0.2, "cutpaste": None, "blur": 3.0, "blob": 0.4, "foreign": None}
#: Kinds that change one region, and so carry an exact mask.
LOCAL = ("cutpaste", "blur", "blob")

#: A change is drawn until it is visible: mean absolute difference inside the mask, on [0, 1]. A patch of black pasted
#: on black is no anomaly.
_VISIBLE = 0.02
_DRAWS = 20


@dataclass(frozen=True)
class Anomaly:
    """One kind of synthetic anomaly.

    Args:
        kind: One of ``noise``, ``cutpaste``, ``blur``, ``blob``, ``foreign``.
        amount: Scale of the Gaussian noise, standard deviation of the blur in pixels, or height of the blob on [0, 1].
        source: Of ``foreign``: a folder of images, a MedMNIST-like ``.npz`` or an MNIST ``idx`` file.
    """

    kind: str
    amount: float = 0.0
    source: str = ""

    @classmethod
    def parse(cls, text: str) -> Anomaly:
        """Read ``noise:0.2``, ``cutpaste``, ``blur:3``, ``blob:0.4`` or ``foreign:PATH``.

        Raises:
            ValueError: for another kind, or an amount that is no positive number.
        """
        spec = Spec.parse(str(text))
        kind = spec.name
        if kind not in KINDS:
            kinds = ", ".join(KINDS)
            raise ValueError(f"synthetic_anomalies must be one of {kinds}, with :amount or :path, not '{text}'")
        if kind == "foreign":
            if not spec.argument:
                raise ValueError(
                    "synthetic_anomalies: 'foreign' needs a path: foreign:FOLDER, foreign:FILE.npz or an idx file"
                )
            return cls(kind, source=spec.argument)
        default = KINDS[kind]
        if default is None:
            if spec.argument:
                raise ValueError(f"synthetic_anomalies: '{kind}' takes no amount, got '{text}'")
            return cls(kind)
        try:
            amount = spec.number() if spec.argument else default
        except ValueError:
            amount = -1.0
        if not 0 < amount < float("inf"):
            raise ValueError(
                f"synthetic_anomalies: '{kind}' needs a positive number, such as {kind}:{default:g}, not '{text}'"
            )
        return cls(kind, amount)

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        if self.kind == "foreign":
            return f"foreign:{self.source}"
        return self.kind if KINDS[self.kind] is None else f"{self.kind}:{self.amount:g}"

    def apply(
        self, image: np.ndarray, rng: np.random.Generator, reading: Preprocessing, name: str = "image"
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Make an abnormal copy.

        Args:
            image: (H, W, 3) float32 in [0, 1]; not changed.
            rng: Every draw comes from it.
            reading: How ``foreign`` images are read.
            name: What errors call the image.

        Returns:
            (H, W, 3) float32 in [0, 1], and for local kinds the mask (H, W) bool: every pixel outside it is unchanged.

        Raises:
            ImageError: if a local change of this image cannot be seen, or the foreign images cannot be read.
        """
        if self.kind == "foreign":
            pictures = foreign(self.source)
            number = int(rng.integers(len(pictures)))
            return reading.prepare(pictures.decode(number), f"{self.source}#{number}"), None
        if self.kind == "noise":
            grey = np.array_equal(image[:, :, 0], image[:, :, 1]) and np.array_equal(image[:, :, 0], image[:, :, 2])
            # A grey image stays grey: coloured noise would give itself away.
            noise = rng.standard_normal((*image.shape[:2], 1 if grey else 3), dtype=np.float32)
            return np.clip(image + noise * np.float32(self.amount), 0.0, 1.0), None
        return self._visible(image, rng, name)

    def _visible(self, image: np.ndarray, rng: np.random.Generator, name: str) -> tuple[np.ndarray, np.ndarray]:
        make: Callable[..., tuple[np.ndarray, np.ndarray]] = {"cutpaste": _cutpaste, "blur": _blur, "blob": _blob}[
            self.kind
        ]
        best, best_change = None, 0.0
        for _ in range(_DRAWS):
            changed, mask = make(image, rng, self.amount)
            change = float(np.abs(changed - image)[mask].mean())
            if change > best_change:
                best, best_change = (changed, mask), change
            if change >= _VISIBLE:
                break
        if best is None:
            raise ImageError(
                f"{name}: synthetic anomaly '{self}' has no visible effect on this image (is it constant?). "
                "Leave the image out (on_error: skip does), or choose noise."
            )
        return best


def _cutpaste(image: np.ndarray, rng: np.random.Generator, _amount: float) -> tuple[np.ndarray, np.ndarray]:
    height, width = image.shape[:2]
    area, ratio = rng.uniform(0.02, 0.15) * height * width, np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
    h = int(np.clip(round(np.sqrt(area * ratio)), 1, height - 1 or 1))
    w = int(np.clip(round(np.sqrt(area / ratio)), 1, width - 1 or 1))
    (y, top), (x, left) = rng.integers(0, height - h + 1, 2), rng.integers(0, width - w + 1, 2)
    changed, mask = image.copy(), np.zeros((height, width), dtype=bool)
    changed[top : top + h, left : left + w] = image[y : y + h, x : x + w]
    mask[top : top + h, left : left + w] = True
    return changed, mask


def _ellipse(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Squared distance (H, W) from a random centre in units of random, turned half axes; below 1 is inside."""
    height, width = shape[:2]
    side = min(height, width)
    half = rng.uniform(0.08, 0.2, 2) * side
    half = np.maximum(half, 1.0)
    cy, cx = rng.uniform(0.15, 0.85, 2) * (height, width)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u = np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)
    v = np.cos(angle) * (y - cy) - np.sin(angle) * (x - cx)
    squared = (u / half[0]) ** 2 + (v / half[1]) ** 2
    squared[int(cy), int(cx)] = 0.0  # at least one pixel is inside
    return squared.astype(np.float32)


def _blur(image: np.ndarray, rng: np.random.Generator, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    mask = _ellipse(image.shape, rng) < 1
    blurred = np.clip(cv2.GaussianBlur(image, (0, 0), sigma), 0.0, 1.0)
    return np.where(mask[:, :, None], blurred, image), mask


def _blob(image: np.ndarray, rng: np.random.Generator, height: float) -> tuple[np.ndarray, np.ndarray]:
    squared = _ellipse(image.shape, rng)
    mask = squared < 1
    # Full height in the middle, half of it or less in a narrow rim: nothing outside the mask changes.
    profile = np.clip((1 - squared) / 0.4, 0.0, 1.0).astype(np.float32)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return np.clip(image + np.float32(sign * height) * profile[:, :, None], 0.0, 1.0), mask


def labels(anomalies: Sequence[Anomaly]) -> list[str]:
    """A label for each: ``artificial-noise``, or ``artificial-noise-0.2`` where a kind comes more than once."""
    kinds = [anomaly.kind for anomaly in anomalies]
    return [f"artificial-{a.kind}" + (_which(a) if kinds.count(a.kind) > 1 else "") for a in anomalies]


def _which(anomaly: Anomaly) -> str:
    return f"-{Path(anomaly.source).name}" if anomaly.source else f"-{anomaly.amount:g}"


def added(table: pd.DataFrame, anomalies: Sequence[Anomaly], splits: Sequence[str], repeats: int) -> pd.DataFrame:
    """A completed table with the rows that synthetic anomalies add.

    Each normal image of the splits is the source of ``repeats`` copies of each kind. A copy keeps its source's group
    and split; its address is ``<source>@<anomaly>#<repeat>``, and so is its mask's where it is local.

    Returns:
        New table with the columns ``artificial`` (the anomaly as text, ``""`` for real images), ``artificial_of`` (the
        source's address) and ``artificial_repeat`` (0, 1, …).

    Raises:
        ImageError: if a source of foreign images cannot be opened.
    """
    for anomaly in anomalies:
        if anomaly.source:
            foreign(anomaly.source)  # now: a wrong path is no unreadable image that could be skipped
    table = table.assign(artificial="", artificial_of="", artificial_repeat=0)
    sources = table[table["split"].isin(list(splits)) & ~table["abnormal"]]
    parts = [table]
    for anomaly, label in zip(anomalies, labels(anomalies), strict=True):
        for repeat in range(repeats):
            address = sources["image_path"] + f"@{anomaly}#{repeat}"
            parts.append(
                sources.assign(
                    image_path=address,
                    label=label,
                    abnormal=True,
                    mask_path=address if anomaly.kind in LOCAL else "",
                    artificial=str(anomaly),
                    artificial_of=sources["image_path"],
                    artificial_repeat=repeat,
                )
            )
    return pd.concat(parts, ignore_index=True)


def generator(seed: int, name: str, anomaly: Anomaly, repeat: int) -> np.random.Generator:
    """The random numbers of one synthetic image: the same for the same seed, image name, anomaly and repeat."""
    text = f"{name}\n{anomaly}\n{repeat}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
