"""Arrays of a cached split: images and masks of one size, in memory or memory-mapped; one channel while grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

#: Images handled at once.
CHUNK = 64


def nbytes(number: int, size: tuple[int, int], channels: int, masks: bool) -> int:
    """Bytes that ``number`` images of ``size`` (H, W) need."""
    return number * size[0] * size[1] * (4 * channels + int(masks))


class Arrays:
    """Images (n, C, H, W) float32, C one while all are grey, and masks (n, H, W) bool; in memory or in a folder."""

    def __init__(self, number: int, size: tuple[int, int], masks: bool, limit: int, folder: Path | None) -> None:
        self.number, self.size, self.limit, self.folder = number, size, limit, folder
        self.channels = 1
        self.images = torch.empty(0)
        self.masks = self._new("masks.npy", (number, *size), torch.bool) if masks else None

    def _fits(self, channels: int) -> bool:
        return nbytes(self.number, self.size, channels, self.masks is not None) <= self.limit

    def _new(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        if self.folder is None:
            return torch.zeros(shape, dtype=dtype)
        kind = np.bool_ if dtype == torch.bool else np.float32
        return torch.from_numpy(np.lib.format.open_memmap(self.folder / name, "w+", kind, shape))

    def put(self, index: int, image: np.ndarray, mask: np.ndarray | None) -> bool:
        """Keep one image (H, W, 3); False if it is in colour and colour does not fit the limit."""
        grey = self.channels == 1 and bool((image[:, :, :1] == image).all())
        if not self.images.numel():
            self.channels = 1 if grey else 3
            if not self._fits(self.channels):
                return False
            self.images = self._new(f"images{self.channels}.npy", (self.number, self.channels, *self.size), torch.float)
        elif self.channels == 1 and not grey:
            if not self._fits(3):
                return False
            before, self.channels = self.images, 3
            self.images = self._new("images3.npy", (self.number, 3, *self.size), torch.float)
            for start in range(0, self.number, CHUNK):
                self.images[start : start + CHUNK] = before[start : start + CHUNK]
        self.images[index] = torch.from_numpy(np.ascontiguousarray(image[:, :, : self.channels])).permute(2, 0, 1)
        if self.masks is not None and mask is not None:
            self.masks[index] = torch.from_numpy(mask)
        return True

    def get(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Images (B, 3, H, W), channels last, and masks (B, H, W) where they are kept, by their numbers (B,)."""
        images = self.images.index_select(0, rows)
        if self.channels == 1:
            images = images.expand(-1, 3, -1, -1)
        masks = None if self.masks is None else self.masks.index_select(0, rows)
        return images.contiguous(memory_format=torch.channels_last), masks


def mapped(path: Path, shape: tuple[int, ...], dtype: type) -> torch.Tensor:
    """A file's array, mapped into memory.

    Raises:
        OSError, ValueError: if it cannot be read, or holds another shape or type.
    """
    # Copy on write: torch asks for writable memory, and the file must never change.
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{path}: holds {array.dtype} {array.shape}")
    return torch.from_numpy(array)
