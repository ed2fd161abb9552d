"""Images of one split as batches, decoded once and kept in memory while they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from anomalib.data import AnomalibDataset, ImageBatch, ImageItem

from medanomaly.imaging import Reading

#: Decoding releases Python's lock: two threads fill a batch about twice as fast as one on two cores.
_DECODE_THREADS = 4


class MedicalDataset(AnomalibDataset):
    """The rows of one split, read through one :class:`~medanomaly.imaging.Reading`.

    Args:
        table: Completed sample table, this split's rows only.
        reading: How images become arrays.
        decode: Image address to a decoded array (H, W, 3).
        decode_mask: Mask path to a bool array (H, W).
        masks: Whether batches carry ``gt_mask`` (all False for normal images and where no mask is known).
        cache_bytes: Images and masks are kept in memory if all of them fit into so many bytes.
        augmentations: A torchvision v2 transform on one image tensor (3, H, W), or on image and mask.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        reading: Reading,
        decode: Callable[[str], np.ndarray],
        decode_mask: Callable[[str], np.ndarray],
        masks: bool,
        cache_bytes: int,
        augmentations: Callable | None = None,
    ) -> None:
        super().__init__(augmentations)
        self.reading = reading
        self.masks = masks
        self._decode, self._decode_mask = decode, decode_mask
        # anomalib looks at the table; __getitems__ reads these lists: three pandas cells an image cost more than a
        # small model's step.
        table = table.assign(label_index=table["abnormal"].astype(int)).reset_index(drop=True)
        table.attrs["task"] = "segmentation" if masks else "classification"
        self._samples = table
        self.paths: list[str] = table["image_path"].tolist()
        self.mask_paths: list[str] = table["mask_path"].tolist()
        self.abnormal = torch.tensor(table["abnormal"].to_numpy(dtype=bool))
        height, width = reading.size
        need = len(table) * height * width * (12 + int(masks))
        self._keep = 0 < need <= cache_bytes
        self._images: torch.Tensor | None = None
        self._masks: torch.Tensor | None = None
        self._have = np.zeros(len(table), dtype=bool)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        image = self._decode(self.paths[index])
        mask = None
        if self.masks and self.mask_paths[index]:
            mask = self.reading.prepare_mask(
                self._decode_mask(self.mask_paths[index]), self.mask_paths[index], image.shape
            )
        return self.reading.prepare(image, self.paths[index]), mask

    def _stack(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        height, width = self.reading.size
        images = torch.empty(len(indices), 3, height, width)
        masks = torch.zeros(len(indices), height, width, dtype=torch.bool) if self.masks else None
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            for place, (image, mask) in enumerate(pool.map(self._read, indices)):
                images[place] = torch.from_numpy(image).permute(2, 0, 1)
                if masks is not None and mask is not None:
                    masks[place] = torch.from_numpy(mask)
        return images, masks

    def _fetch(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self._keep:
            return self._stack(indices)
        if self._images is None:
            height, width = self.reading.size
            self._images = torch.empty(len(self), 3, height, width)
            self._masks = torch.zeros(len(self), height, width, dtype=torch.bool) if self.masks else None
        missing = [i for i in indices if not self._have[i]]
        if missing:
            images, masks = self._stack(missing)
            self._images[missing] = images
            if self._masks is not None and masks is not None:
                self._masks[missing] = masks
            self._have[missing] = True
        picked = torch.as_tensor(indices)
        return self._images[picked], None if self._masks is None else self._masks[picked]

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        """A batch: ``image`` (B, 3, H, W) float32 in [0, 1], ``gt_label`` (B,), ``gt_mask`` (B, H, W) where known."""
        images, masks = self._fetch(indices)
        if self.augmentations:
            images, masks = self._augmented(images, masks)
        return ImageBatch(
            image=images,
            gt_label=self.abnormal[torch.as_tensor(indices)],
            gt_mask=masks,
            image_path=[self.paths[i] for i in indices],
            mask_path=[self.mask_paths[i] for i in indices] if self.masks else None,
        )

    def _augmented(self, images: torch.Tensor, masks: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        from torchvision.tv_tensors import Image, Mask

        assert self.augmentations is not None
        if masks is None:
            return torch.stack([self.augmentations(Image(image)) for image in images]), None
        pairs = [self.augmentations(Image(i), Mask(m)) for i, m in zip(images, masks, strict=True)]
        return torch.stack([i for i, _ in pairs]), torch.stack([m for _, m in pairs])

    def __getitem__(self, index: int) -> ImageItem:
        """One image as anomalib's item."""
        return self.__getitems__([index]).items[0]

    @property
    def collate_fn(self) -> Callable:
        """Batches come ready from ``__getitems__``; anomalib's own collation stays for lists of items."""
        return _collate


def _collate(batch: ImageBatch | list[ImageItem]) -> ImageBatch:
    if isinstance(batch, ImageBatch):
        return batch
    return ImageBatch.collate(batch)  # type: ignore[return-value]
