"""The data module that every data plugin extends."""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from torchvision.transforms.v2 import Transform

from medanomaly import seeds
from medanomaly.data import synthetic_anomalies as anomalies
from medanomaly.data import table as tables
from medanomaly.data.cache_key import cache_key
from medanomaly.data.dataset import MedicalDataset, RowReader
from medanomaly.data.image_cache import CachedImages
from medanomaly.data.loaders import TableLoaders
from medanomaly.data.plugin_table import DataError, PluginFailedError, listed
from medanomaly.data.renamed_options import RENAMED, resolved
from medanomaly.data.required_cells import NOTES
from medanomaly.data.split_selection import SplitSelection
from medanomaly.imaging import Preprocessing, decode

__all__ = ["ON_ERROR", "DataError", "MedicalDataModule", "PluginFailedError"]

ON_ERROR = ("raise", "skip")


class MedicalDataModule(TableLoaders):
    """Medical images for anomalib's engine: one reader, splits by group, normals alone for training.

    A data plugin subclasses this, sets ``folder`` and ``expects``, and implements :meth:`samples`. All else is shared.

    Args:
        root: Folder of the data. By default ``$MEDANOMALY_DATA/<folder>``, else ``./datasets/<folder>``.
        image_size: Height and width in pixels that the model sees; one number for a square.
        intensity: Intensity rule, see :class:`medanomaly.imaging.Preprocessing`.
        field_of_view: ``none`` or ``crop:N``, see :class:`medanomaly.imaging.Preprocessing`.
        colour: ``rgb`` or ``grey``.
        normal: Labels that count as normal, upper and lower case and blanks around them aside; every other label is
            abnormal.
        training: ``normal`` trains on normal images alone, ``labelled`` on the abnormal training images too.
        validation: ``labelled`` uses normal and abnormal validation images, ``normal`` the normal ones alone, as where
            no abnormal image has been labelled yet (synthetic anomalies stay, if asked for).
        contamination: Share of the training images that are abnormal ones passed off as normal, for experiments.
        train_batch_size: Images in a training batch.
        eval_batch_size: Images in a validation or test batch.
        num_workers: Processes that read images. Not used where all images are kept and nothing augments them: there
            they would only copy.
        cache_mb: Largest split, in MiB, whose images are kept in memory.
        cache_dir: Folder where a split that does not fit is kept as it was read, for later runs too; None for nowhere.
        seed: Seed of splits and of synthetic anomalies; None for the command's ``--seed``, 0 where there is none.
        train_augmentations: A torchvision v2 transform applied to training images.
        synthetic_anomalies: Anomalies that are made and added to validation and test: ``noise:0.2``, ``cutpaste``,
            ``blur:3``, ``blob:0.4``, ``foreign:PATH``, or a list; see :mod:`medanomaly.data.synthetic_anomalies`.
        synthetic_splits: Splits that they are added to: ``val``, ``test`` or both.
        synthetic_per_image: Copies of each kind that are made of each normal image.
        on_error: ``raise`` stops at the first image that cannot be read; ``skip`` reads all images first, leaves out
            those that cannot be read, and lists them in :attr:`skipped` and in the evidence.
        artificial, artificial_splits, artificial_per_image: Old names of ``synthetic_…``, for one release.
    """

    #: Folder's name below the data root.
    folder: str = ""
    #: What is expected in the folder and how to get it, for the error when it is missing.
    expects: str = ""
    #: Whether images are independent of one another by construction, as drawn ones are.
    independent: bool = False
    #: Whether groups are patients, or what else must stay together; None: if any group has several images.
    groups_known: bool | None = None
    #: What the masks mark, where it is not the exact lesion; shown beside pixel figures.
    mask_note: str = ""
    #: Whether masks enclose lesions (boxes, circles): then FROC says how many are found, beside overlap by pixels.
    masks_enclose: bool = False

    def __init__(
        self,
        root: str | Path | None = None,
        image_size: int | tuple[int, int] = 64,
        intensity: str = "dtype",
        field_of_view: str = "none",
        colour: str = "rgb",
        normal: list[str] | str = "normal",
        training: str = "normal",
        validation: str = "labelled",
        contamination: float = 0.0,
        train_batch_size: int = 32,
        eval_batch_size: int = 64,
        num_workers: int = 0,
        cache_mb: int = 2048,
        cache_dir: str | Path | None = None,
        seed: int | None = None,
        train_augmentations: Transform | None = None,
        synthetic_anomalies: str | list[str] | None = None,
        synthetic_splits: str | list[str] | tuple[str, ...] = ("val", "test"),
        synthetic_per_image: int = 1,
        on_error: str = "raise",
        artificial: str | list[str] | None = None,
        artificial_splits: str | list[str] | tuple[str, ...] | None = None,
        artificial_per_image: int | None = None,
    ) -> None:
        seed = seeds.command_seed() if seed is None else seed
        super().__init__(
            train_batch_size=train_batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            train_augmentations=train_augmentations,
            seed=seed,
        )
        if on_error not in ON_ERROR:
            raise ValueError(f"on_error must be one of {', '.join(ON_ERROR)}, not '{on_error}'")
        synthetic_anomalies = resolved("artificial", artificial, synthetic_anomalies, None)
        synthetic_splits = resolved("artificial_splits", artificial_splits, synthetic_splits, ("val", "test"))
        synthetic_per_image = resolved("artificial_per_image", artificial_per_image, synthetic_per_image, 1)
        if synthetic_per_image < 1:
            raise ValueError(f"synthetic_per_image must be at least 1, not {synthetic_per_image}")
        splits = [synthetic_splits] if isinstance(synthetic_splits, str) else list(synthetic_splits)
        if not splits or not set(splits) <= {"val", "test"}:
            raise ValueError(f"synthetic_splits must be val, test or both, not {splits}")
        self.save_hyperparameters(ignore=["train_augmentations", *RENAMED], logger=False)
        self.hparams["seed"] = seed
        # They go into checkpoints, which load without pickle only if they hold plain values.
        self.hparams.update({key: str(value) for key, value in self.hparams.items() if isinstance(value, Path)})
        self.root = Path(root) if root else self.default_root()
        size = (image_size, image_size) if isinstance(image_size, int) else (image_size[0], image_size[1])
        self.reading = Preprocessing(size, intensity, field_of_view, colour)
        self.normal = [normal] if isinstance(normal, str) else [str(name) for name in normal]
        self.usage = SplitSelection(training, validation, contamination, seed)
        self.cache_bytes = cache_mb << 20
        self.cache_dir = Path(cache_dir) if cache_dir else None
        specs = [synthetic_anomalies] if isinstance(synthetic_anomalies, str) else list(synthetic_anomalies or ())
        self.synthetic_anomalies = [anomalies.Anomaly.parse(spec) for spec in dict.fromkeys(specs)]
        self.synthetic_splits, self.synthetic_per_image = splits, synthetic_per_image
        self.on_error = on_error
        self._skipped: list[dict[str, str]] = []
        self._listed: pd.DataFrame | None = None
        self._table: pd.DataFrame | None = None
        self._images: dict[str, tuple[dict[str, int], CachedImages]] = {}

    @classmethod
    def default_root(cls) -> Path:
        """``$MEDANOMALY_DATA/<folder>`` where the variable is set, else ``./datasets/<folder>``."""
        return Path(os.environ.get("MEDANOMALY_DATA") or "datasets") / cls.folder

    @abstractmethod
    def samples(self, root: Path) -> pd.DataFrame:
        """List the images below ``root``.

        Returns:
            Table with ``image_path``, ``label``, ``split``, ``group`` and where known ``mask_path`` (see
            :mod:`medanomaly.data.table`). Relative paths are taken below ``root``, unless they begin with it, or are
            images' addresses for a :meth:`decode` of the plugin's own. A missing cell is an error; a missing mask is
            none.

        Raises:
            DataError, TableError: if the folder does not hold what the plugin expects. Any other error ends the command
                in one line that names the plugin.
        """

    def prepare(self, root: Path) -> None:
        """Draw or download what is missing below ``root``; by default nothing."""

    def prepare_data(self) -> None:
        """Draw, download and list; of several processes the first of a machine does so before the others look."""
        _ = self.listed

    def decode(self, image_path: str) -> np.ndarray:
        """Decode one image (H, W, 3) by its address in the table; plugins that keep images in archives override it."""
        return decode(image_path)

    @property
    def decodes(self) -> bool:
        """Whether the plugin decodes its images itself, as from an archive."""
        return type(self).decode is not MedicalDataModule.decode

    @property
    def listed(self) -> pd.DataFrame:
        """The completed and checked table of the images that are there, readable or not, made on first use."""
        if self._listed is None:
            # What a plugin that decodes images itself calls an image is known to it alone.
            self._listed = listed(self, addresses=self.decodes)
        return self._listed

    @property
    def notes(self) -> list[str]:
        """What was not written as expected and read all the same, as ``NORMAL`` for ``normal``; one sentence each."""
        return list(self.listed.attrs.get(NOTES, []))

    @property
    def table(self) -> pd.DataFrame:
        """The sample table in use, made on first use: :attr:`listed`, with synthetic anomalies, without skipped."""
        if self._table is None:
            table = self.listed
            if self.synthetic_anomalies:
                table = anomalies.added(
                    table, self.synthetic_anomalies, self.synthetic_splits, self.synthetic_per_image
                )
            self._table = self._readable(table) if self.on_error == "skip" else table
        return self._table

    @property
    def skipped(self) -> list[dict[str, str]]:
        """Images left out by ``on_error: skip``, as ``{"path": …, "error": …}``; reads all images on first use."""
        _ = self.table
        return self._skipped

    def missing(self, what: str) -> DataError:
        """The error for data that are not there: where it was looked for, what is expected, how to get it."""
        return DataError(
            f"{type(self).__name__}: {self.root} {what}.\nExpected there: {self.expects}\n"
            "Name another place with --data.init_args.root, or set MEDANOMALY_DATA to the folder above it."
        )

    @property
    def has_masks(self) -> bool:
        """Whether any image has a mask of its abnormality."""
        return _has_masks(self.table)

    def subset(self, split: str) -> MedicalDataset:
        """The images of one split as the model gets them: ``train`` (normals only), ``val`` or ``test``."""
        rows = self.usage.rows(self.table, split)
        if not len(rows):
            raise tables.TableError(f"No usable image is in {split} (validation: {self.usage.validation}).")
        masks = self.has_masks and split != "train"
        numbers, images = self._images_of(split, rows, masks)
        return MedicalDataset(rows, self.reading, images, [numbers[path] for path in rows["image_path"]], masks)

    def _readable(self, table: pd.DataFrame) -> pd.DataFrame:
        """Read everything once, keep what can be kept, and leave out and note what cannot be read."""
        masks = _has_masks(table)
        errors: dict[str, str] = {}
        for split in tables.SPLITS:
            rows = self.usage.rows(table, split)
            parts = [(rows, self._images_of(split, rows, masks and split != "train")[1])] if len(rows) else []
            rest = table[(table["split"] == split) & ~table.index.isin(rows.index)]
            if len(rest):  # not fed to the model, but counted
                parts.append(
                    (rest, CachedImages(self._reader(rest, False), len(rest), self.reading.size, False, memory=0))
                )
            for part, images in parts:
                paths = part["image_path"].tolist()
                errors.update({paths[i]: error for i, error in images.verify().items()})
        good = table[~table["image_path"].isin(errors.keys())].reset_index(drop=True)
        for split in tables.SPLITS:
            if not len(self.usage.rows(good, split)):
                raise tables.TableError(
                    f"No usable image is in {split} after {len(errors)} that cannot be read were left out "
                    f"(on_error: skip). The first: {next(iter(errors.values()), 'none')}"
                )
        # Copies of an image that cannot be read are left out with it, and not listed beside it.
        of = dict(zip(table["image_path"], table["artificial_of"], strict=True)) if "artificial_of" in table else {}
        self._skipped = [{"path": path, "error": error} for path, error in errors.items() if of.get(path) not in errors]
        return good

    def _reader(self, rows: pd.DataFrame, masks: bool) -> RowReader:
        # A file goes through the very function that the edge calls; other addresses through the plugin's own decoding.
        seed = int(self.hparams["seed"])
        return RowReader(rows, self.reading, self.decode if self.decodes else None, masks, self.root, seed)

    def _images_of(self, split: str, rows: pd.DataFrame, masks: bool) -> tuple[dict[str, int], CachedImages]:
        """The split's images, shared by all its data sets, and the number of each path in them."""
        if split not in self._images:
            reader = self._reader(rows, masks)
            key = partial(cache_key, reader, self.hparams, type(self))
            images = CachedImages(reader, len(rows), self.reading.size, masks, self.cache_bytes, self.cache_dir, key)
            self._images[split] = ({path: i for i, path in enumerate(rows["image_path"])}, images)
        return self._images[split]

    def make_splits(self) -> None:
        """The three data sets, as the sample table deals them: by group, where anomalib would part one by image."""
        self.train_data, self.val_data, self.test_data = (self.subset(name) for name in tables.SPLITS)


def _has_masks(table: pd.DataFrame) -> bool:
    return bool((table["mask_path"] != "").any())
