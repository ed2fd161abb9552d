"""Read images of another data set, for the synthetic anomaly ``foreign``: a folder, an ``.npz`` or ``idx`` file."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from medanomaly.imaging import ImageError, decode, search


class Foreign:
    """Images of another data set, opened by :func:`foreign`."""

    def __init__(self, pictures: Sequence[Path] | np.ndarray) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        """Number of images."""
        return len(self._pictures)

    def decode(self, number: int) -> np.ndarray:
        """One image (H, W, 3), as stored."""
        picture = self._pictures[number]
        if isinstance(picture, Path):
            return decode(picture)
        return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


@lru_cache(maxsize=8)
def foreign(source: str) -> Foreign:
    """Open another data set: a folder of images (and folders of them), an ``.npz`` or an ``idx`` file (``.gz`` too).

    Of an ``.npz``, the array ``test_images`` is taken, else its only one that holds images.

    Raises:
        ImageError: if there is none, or it is damaged.
    """
    path = Path(source)
    if path.is_dir():
        files = _below(path)
        if not files:
            raise ImageError(f"{path}: holds no image for synthetic anomalies 'foreign'.")
        return Foreign(files)
    try:
        images = _npz(path) if path.suffix == ".npz" else _idx(path)
    except ImageError:
        raise
    except Exception as error:  # zipfile.BadZipFile and zlib.error have no common base
        raise ImageError(
            f"{path}: synthetic anomalies 'foreign' needs a folder of images, an .npz or an idx file ({error})."
        ) from error
    if not len(images):
        raise ImageError(f"{path}: holds no image for synthetic anomalies 'foreign'.")
    return Foreign(images)


def foreign_files(source: str) -> list[str]:
    """The files that :func:`foreign` reads."""
    path = Path(source)
    return [str(file) for file in _below(path)] if path.is_dir() else [source]


def _below(folder: Path) -> list[Path]:
    return search(folder).files


def _npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as archive:
        names = ["test_images"] if "test_images" in archive.files else archive.files
        found = [array for array in (archive[name] for name in names) if _holds_images(array)]
    if len(found) != 1:
        raise ImageError(f"{path}: holds {len(found)} arrays of images (n, H, W[, 3]) uint8; name one test_images.")
    return found[0]


def _holds_images(array: np.ndarray) -> bool:
    return array.dtype == np.uint8 and (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3))


def _idx(path: Path) -> np.ndarray:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if data[:4] != b"\x00\x00\x08\x03":
        raise ValueError("it has no header of 8-bit images")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in (4, 8, 12))
    return np.frombuffer(data, np.uint8, offset=16).reshape(shape)
