"""Data loaders of a data module whose splits stand in its sample table."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pandas as pd
import torch
from anomalib.data import ImageBatch
from torch.utils.data import DataLoader

from medanomaly import distributed
from medanomaly.anomalib_compat.datamodules import OwnSplits, UnrepeatedDistributedSampler, collate_function
from medanomaly.data.dataset import MedicalDataset
from medanomaly.data.image_cache import CachedImages
from medanomaly.data.split_selection import SplitSelection
from medanomaly.imaging import Preprocessing


class TableLoaders(OwnSplits):
    """The loading half of :class:`medanomaly.data.datamodule.MedicalDataModule`."""

    train_data: MedicalDataset
    val_data: MedicalDataset
    test_data: MedicalDataset
    reading: Preprocessing
    usage: SplitSelection

    @property
    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The sample table in use."""

    @abstractmethod
    def subset(self, split: str) -> MedicalDataset:
        """The images of one split as the model gets them."""

    @abstractmethod
    def _images_of(self, split: str, rows: pd.DataFrame, masks: bool) -> tuple[dict[str, int], CachedImages]: ...

    def train_dataloader(self) -> DataLoader:
        """Training normals, in an order drawn anew each epoch from torch's global generator."""
        return self._loader(self.train_data, self.train_batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Validation images in their order; in a process of several, its share of them."""
        return self._loader(self.val_data, self.eval_batch_size, dealt=True)

    def test_dataloader(self) -> DataLoader:
        """Test images in their order; in a process of several, its share of them."""
        return self._loader(self.test_data, self.eval_batch_size, dealt=True)

    def normals_dataloader(self, split: str) -> DataLoader:
        """Normal images of a split in their order, without augmentation: for densities and score statistics."""
        data = self.subset(split)
        return self._loader(data.only(~data.abnormal), self.eval_batch_size)

    def images_dataloader(self, split: str) -> DataLoader:
        """Images of a split in their order, with and without an abnormality, whatever use the model makes of them.

        Artificial anomalies are left out: this is for what unlabelled images are needed for.
        """
        rows = self.table[self.table["split"] == split]
        rows = rows[rows["artificial"] == ""] if "artificial" in rows else rows
        if set(rows["image_path"]) <= set(self.usage.rows(self.table, split)["image_path"]):
            data = self.subset(split)
            wanted = set(rows["image_path"])
            return self._loader(data.only(torch.tensor([path in wanted for path in data.paths])), self.eval_batch_size)
        numbers, images = self._images_of(f"{split}, all", rows, False)
        slots = [numbers[path] for path in rows["image_path"]]
        return self._loader(MedicalDataset(rows, self.reading, images, slots, False), self.eval_batch_size)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave a batch that is there already: lightning would walk through its paths, a millisecond a batch."""
        if isinstance(batch, ImageBatch) and batch.gt_label is not None and batch.gt_label.device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _loader(self, data: MedicalDataset, batch_size: int, shuffle: bool = False, dealt: bool = False) -> DataLoader:
        if self.num_workers:
            data.images.fill()  # once, here: what worker processes read, they would each read and forget
        workers = 0 if data.ready and not data.augmentations else self.num_workers
        return DataLoader(
            data,
            batch_size=batch_size,
            shuffle=shuffle,
            # Lightning would repeat images until all processes have as many, and the figures would count them twice.
            sampler=UnrepeatedDistributedSampler(data, shuffle=False)
            if dealt and distributed.world_size() > 1
            else None,
            num_workers=workers,
            collate_fn=collate_function(self, data),
        )
