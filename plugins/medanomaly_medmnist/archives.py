"""MedMNIST ``.npz`` and MNIST ``idx`` files as arrays. No pickle is ever loaded."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medanomaly.imaging import ImageError
from medanomaly_medmnist.labels import HEALTHY, LABELS

_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Part:
    """One split: ``images`` (n, H, W[, 3]) uint8 and ``labels`` (n,) class names."""

    images: np.ndarray
    labels: list[str]


def read_npz(path: Path, name: str) -> dict[str, Part]:
    """Train, val and test of a 2-D MedMNIST file.

    Labels become the publisher's class names. An image of ChestMNIST, which may have several findings, is labelled
    ``normal`` (none) or with their names joined by ``|``.

    Raises:
        ImageError: if the file is not an ``.npz`` of that layout.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        parts = {}
        for split in ("train", "val", "test"):
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
            flat = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
            if not flat or images.dtype != np.uint8 or len(images) != len(labels):
                raise ValueError(f"{split}_images is {images.dtype} {images.shape}, expected uint8 (n, H, W[, 3])")
            parts[split] = Part(images, _names(labels.reshape(len(labels), -1), name))
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: is not a 2-D MedMNIST archive ({error}). Download it again.") from error
    except Exception as error:  # zipfile.BadZipFile and zlib.error have no common base
        raise ImageError(f"{path}: is damaged ({type(error).__name__}: {error}). Download it again.") from error
    return parts


def _names(labels: np.ndarray, name: str) -> list[str]:
    base = name.partition("_")[0]
    known = LABELS.get(base)
    if labels.size and not (labels >= 0).all():  # NaN is neither
        row = int(np.flatnonzero(~(labels >= 0).all(axis=1))[0])
        raise ValueError(f"label {labels[row].tolist()} of image {row} is no class")
    if labels.shape[1] > 1:
        names = known or tuple(str(i) for i in range(labels.shape[1]))
        if len(names) != labels.shape[1]:
            raise ValueError(f"{labels.shape[1]} findings an image, {base} has {len(names)}")
        return ["|".join(np.array(names)[row > 0]) or HEALTHY["chestmnist"] for row in labels]
    if known is None:
        return [str(int(i)) for i in labels[:, 0]]
    if len(labels) and int(labels.max()) >= len(known):
        raise ValueError(f"class {int(labels.max())}, {base} has {len(known)} classes")
    return [known[int(i)] for i in labels[:, 0]]


def read_idx(root: Path) -> dict[str, Part]:
    """Train and test of MNIST or Fashion-MNIST from ``*-ubyte.gz`` (or unpacked) files; labels are digits as strings.

    Raises:
        ImageError: if a file is damaged or images and labels differ in number.
    """
    parts = {}
    for split, prefix in _PREFIX.items():
        images, labels = _idx(root / f"{prefix}-images-idx3-ubyte"), _idx(root / f"{prefix}-labels-idx1-ubyte")
        if len(images) != len(labels):
            raise ImageError(f"{root}: {split} has {len(images)} images and {len(labels)} labels.")
        parts[split] = Part(images, [str(int(i)) for i in labels])
    return parts


def has_idx(root: Path) -> bool:
    """Whether ``root`` holds MNIST's training images, packed or not."""
    stem = root / "train-images-idx3-ubyte"
    return stem.is_file() or stem.with_name(stem.name + ".gz").is_file()


def _idx(path: Path) -> np.ndarray:
    packed = path.with_name(path.name + ".gz")
    try:
        data = gzip.decompress(packed.read_bytes()) if packed.is_file() else path.read_bytes()
        dimensions = data[3]
        shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise ImageError(f"{packed}: is not an idx file ({error}). Download it again.") from error
