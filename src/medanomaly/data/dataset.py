"""Read the rows of one split, and give them to anomalib as batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from anomalib.data import ImageBatch, ImageItem

from medanomaly.anomalib_compat.datamodules import OwnTable
from medanomaly.data.foreign_images import foreign_files
from medanomaly.data.image_cache import CachedImages, Pair
from medanomaly.data.synthetic_anomalies import Anomaly, generator
from medanomaly.imaging import Preprocessing, decode_mask, several


@dataclass
class RowReader:
    """Reads one row of a sample table: image and mask, and the synthetic anomaly made from them.

    Args:
        table: Completed sample table; a row with ``artificial`` is made from its ``artificial_of``.
        reading: How images become arrays.
        decode: Image address to a decoded array (H, W, 3); None where addresses are files that the reading loads.
        masks: Whether masks are read.
        root: Artificial anomalies are drawn by the seed and the image's path below this folder.
        seed: Seed of the synthetic anomalies.
    """

    table: pd.DataFrame
    reading: Preprocessing
    decode: Callable[[str], np.ndarray] | None
    masks: bool
    root: Path
    seed: int

    def __post_init__(self) -> None:
        """Turn columns into lists: three pandas cells an image cost more than a small model's step."""
        self.paths: list[str] = self.table["image_path"].tolist()
        self.mask_paths: list[str] = self.table["mask_path"].tolist()
        self._synthetic: list[tuple[str, str, int]] | None = None
        if "artificial" in self.table.columns:
            columns = self.table[["artificial", "artificial_of", "artificial_repeat"]]
            self._synthetic = [(str(a), str(of), int(n)) for a, of, n in columns.itertuples(index=False)]

    def __call__(self, index: int) -> Pair:
        """Image (H, W, 3) float32 in [0, 1] at the model's size, and mask (H, W) bool where there is one.

        Raises:
            ImageError: if one of them cannot be read, or they do not fit; names the file.
        """
        path, mask_path = self.paths[index], self.mask_paths[index] if self.masks else ""
        anomaly, of, repeat = self._synthetic[index] if self._synthetic else ("", "", 0)
        if not anomaly:
            return self._read(path, mask_path)
        made = Anomaly.parse(anomaly)
        file = Path(of)
        name = file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else of
        source = self._read(of, "")[0] if made.kind != "foreign" else np.zeros((*self.reading.size, 3), np.float32)
        image, mask = made.apply(source, generator(self.seed, name, made, repeat), self.reading, of)
        return image, mask if self.masks else None

    def sources(self) -> list[str]:
        """Every file or address that the pixels come from; of a synthetic anomaly, what it is made from."""
        made = self._synthetic or [("", "", 0)] * len(self.paths)
        found = []
        for path, mask_path, (anomaly, of, _) in zip(self.paths, self.mask_paths, made, strict=True):
            masks = several(mask_path) if self.masks and not anomaly else []
            found += [of if anomaly else path, *(masks or [""])]
        for anomaly in sorted({anomaly for anomaly, _, _ in made if anomaly.startswith("foreign")}):
            found += foreign_files(Anomaly.parse(anomaly).source)
        return found

    def synthetic(self) -> list[tuple[str, int]]:
        """For each row the synthetic anomaly and which repeat of it; empty where there are none."""
        return [(anomaly, repeat) for anomaly, _, repeat in self._synthetic or ()]

    def _read(self, path: str, mask_path: str) -> Pair:
        if self.decode is None:
            return self.reading.load_pair(path, mask_path or None)
        mask = decode_mask(mask_path) if mask_path else None
        return self.reading.prepare_pair(self.decode(path), mask, path, mask_path)


class MedicalDataset(OwnTable):
    """The rows of one split, read through one :class:`~medanomaly.imaging.Preprocessing`.

    Args:
        table: Completed sample table, this split's rows only.
        reading: How images become arrays.
        images: Where they are read and kept; shared by all data sets of the split.
        slots: For each row its number in ``images``.
        masks: Whether batches carry ``gt_mask`` (all False for normal images and where no mask is known).
        augmentations: A torchvision v2 transform on one image tensor (3, H, W), or on image and mask.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        reading: Preprocessing,
        images: CachedImages,
        slots: Sequence[int],
        masks: bool,
        augmentations: Callable | None = None,
    ) -> None:
        super().__init__(augmentations)
        self.reading = reading
        self.masks = masks
        self.images = images
        # anomalib looks at the table; __getitems__ reads these lists.
        table = table.assign(label_index=table["abnormal"].astype(int)).reset_index(drop=True)
        table.attrs["task"] = "segmentation" if masks else "classification"
        self.set_table(table)
        self.paths: list[str] = table["image_path"].tolist()
        self.mask_paths: list[str] = table["mask_path"].tolist()
        self.abnormal = torch.tensor(table["abnormal"].to_numpy(dtype=bool))
        self._slots = np.asarray(slots, dtype=np.int64)
        self._all = np.array_equal(self._slots, np.arange(images.number))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def only(self, keep: torch.Tensor) -> MedicalDataset:
        """The images where ``keep`` (n,) of bool is true, read and kept by the same store."""
        rows = keep.numpy()
        return MedicalDataset(self.samples[rows], self.reading, self.images, self._slots[rows], self.masks)

    @property
    def ready(self) -> bool:
        """Whether all images are held, so that a batch costs no decoding."""
        return self.images.ready

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        """A batch: ``image`` (B, 3, H, W) float32 in [0, 1], ``gt_label`` (B,), ``gt_mask`` (B, H, W) where known."""
        images, masks = self.images.fetch(indices if self._all else self._slots[np.asarray(indices)].tolist())
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
