"""The data module that every data plugin extends."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from pathlib import Path

import numpy as np
import pandas as pd
from anomalib.data import AnomalibDataModule
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import Transform

from medanomaly.data import table as tables
from medanomaly.data.dataset import MedicalDataset
from medanomaly.imaging import Reading, decode, decode_mask

logger = logging.getLogger(__name__)

VALIDATION = ("labelled", "normal")


class DataError(FileNotFoundError):
    """The data are not where they were looked for. The message says what is expected there and how to get it."""


class MedicalDataModule(AnomalibDataModule):
    """Medical images for anomalib's engine: one reader, splits by group, normals alone for training.

    A data plugin subclasses this, sets ``folder`` and ``expects``, and implements :meth:`samples`. All else is shared.

    Args:
        root: Folder of the data. By default ``$MEDANOMALY_DATA/<folder>``, else ``./datasets/<folder>``.
        image_size: Height and width in pixels that the model sees; one number for a square.
        intensity: Intensity rule, see :class:`medanomaly.imaging.Reading`.
        field_of_view: ``none`` or ``crop:N``, see :class:`medanomaly.imaging.Reading`.
        colour: ``rgb`` or ``grey``.
        normal: Labels that count as normal; every other label is abnormal.
        validation: ``labelled`` uses normal and abnormal validation images, ``normal`` the normal ones alone, as where
            no abnormal image has been labelled yet.
        train_batch_size: Images in a training batch.
        eval_batch_size: Images in a validation or test batch.
        num_workers: Processes that read images; 0 is fastest for sets that fit in memory.
        cache_mb: Keep a split's images in memory if it needs at most so many MiB.
        seed: Seed of splits made here.
        train_augmentations: A torchvision v2 transform applied to training images.
    """

    #: Folder's name below the data root.
    folder: str = ""
    #: What is expected in the folder and how to get it, for the error when it is missing.
    expects: str = ""
    #: Whether images are independent of one another by construction, as drawn ones are.
    independent: bool = False
    #: What the masks mark, where it is not the exact lesion; shown beside pixel figures.
    mask_note: str = ""

    def __init__(
        self,
        root: str | Path | None = None,
        image_size: int | tuple[int, int] = 64,
        intensity: str = "dtype",
        field_of_view: str = "none",
        colour: str = "rgb",
        normal: list[str] | str = "normal",
        validation: str = "labelled",
        train_batch_size: int = 32,
        eval_batch_size: int = 64,
        num_workers: int = 0,
        cache_mb: int = 2048,
        seed: int = 0,
        train_augmentations: Transform | None = None,
    ) -> None:
        super().__init__(
            train_batch_size=train_batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            train_augmentations=train_augmentations,
            seed=seed,
        )
        if validation not in VALIDATION:
            raise ValueError(f"validation must be one of {', '.join(VALIDATION)}, not '{validation}'")
        self.save_hyperparameters(ignore=["train_augmentations"], logger=False)
        # They go into checkpoints, which load without pickle only if they hold plain values.
        self.hparams.update({key: str(value) for key, value in self.hparams.items() if isinstance(value, Path)})
        self.root = Path(root) if root else self.default_root()
        size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
        self.reading = Reading(size, intensity, field_of_view, colour)
        self.normal = [normal] if isinstance(normal, str) else [str(name) for name in normal]
        self.validation = validation
        self.cache_bytes = cache_mb << 20
        self._table: pd.DataFrame | None = None

    @classmethod
    def default_root(cls) -> Path:
        """``$MEDANOMALY_DATA/<folder>`` where the variable is set, else ``./datasets/<folder>``."""
        return Path(os.environ.get("MEDANOMALY_DATA") or "datasets") / cls.folder

    @abstractmethod
    def samples(self, root: Path) -> pd.DataFrame:
        """List the images below ``root``.

        Returns:
            Table with ``image_path``, ``label``, ``split``, ``group`` and where known ``mask_path`` (see
            :mod:`medanomaly.data.table`); relative paths are taken below ``root``.

        Raises:
            DataError, TableError: if the folder does not hold what the plugin expects.
        """

    def prepare(self, root: Path) -> None:
        """Draw or download what is missing below ``root``; by default nothing."""

    def decode(self, image_path: str) -> np.ndarray:
        """Decode one image (H, W, 3) by its address in the table; plugins that keep images in archives override it."""
        return decode(image_path)

    @property
    def table(self) -> pd.DataFrame:
        """The completed and checked sample table, made on first use."""
        if self._table is None:
            self.prepare(self.root)
            if not self.root.exists():
                raise self.missing("does not exist")
            table = self.samples(self.root)
            if table.empty:
                raise self.missing("holds no images")
            table = tables.complete(table, self.normal)
            tables.check(table, self.normal)
            self._table = table
        return self._table

    def missing(self, what: str) -> DataError:
        """The error for data that are not there: where it was looked for, what is expected, how to get it."""
        return DataError(
            f"{type(self).__name__}: {self.root} {what}.\nExpected there: {self.expects}\n"
            "Name another place with --data.init_args.root, or set MEDANOMALY_DATA to the folder above it."
        )

    @property
    def has_masks(self) -> bool:
        """Whether any image has a mask of its abnormality."""
        return bool((self.table["mask_path"] != "").any())

    def subset(self, split: str) -> MedicalDataset:
        """The images of one split as the model gets them: ``train`` (normals only), ``val`` or ``test``."""
        rows = self.table[self.table["split"] == split]
        if split == "train" or (split == "val" and self.validation == "normal"):
            rows = rows[~rows["abnormal"]]
        if not len(rows):
            raise tables.TableError(f"No usable image is in {split} (validation: {self.validation}).")
        return MedicalDataset(
            rows, self.reading, self.decode, decode_mask, self.has_masks and split != "train", self.cache_bytes
        )

    def _setup(self, _stage: str | None = None) -> None:
        self.train_data, self.val_data, self.test_data = (self.subset(name) for name in tables.SPLITS)

    # Splits come from the table: anomalib's own splitting is by image and would part the groups.
    def _create_test_split(self) -> None: ...

    def _create_val_split(self) -> None: ...

    def calibration_dataloader(self) -> DataLoader:
        """Training normals in their order, without augmentation: for densities and score statistics."""
        return DataLoader(self.subset("train"), batch_size=self.eval_batch_size, collate_fn=self.train_data.collate_fn)
