"""``Folder``: the shortest way from a folder of normal images to a detector."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pandas as pd

from medanomaly.cells import among, missing
from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.listing import by_stem, images
from medanomaly.data.table import TableError, split_by_group

logger = logging.getLogger(__name__)


class Folder(MedicalDataModule):
    """Images in one directory a class, searched through all levels, split by group with a seed.

    Args:
        normal_dir: Directory of normal images, below ``root``.
        abnormal_dir: Directory of abnormal images, below ``root``; each directory inside it names a class, files
            directly in it are ``abnormal``. None where there are none yet.
        mask_dir: Directory of masks, below ``root``, with the abnormal images' names (any suffix).
        group_pattern: Regular expression searched in the file's path below ``root``; its first bracket is the group
            (patient, study). Without one each image is its own group, which is right only if no two images share a
            patient.
        fractions: Shares of train, val and test among groups.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "folder"
    expects = "a directory 'normal' with images, and where known a directory 'abnormal'."

    def __init__(
        self,
        root: str | Path | None = None,
        normal_dir: str = "normal",
        abnormal_dir: str | None = "abnormal",
        mask_dir: str | None = None,
        group_pattern: str | None = None,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        **kwargs,
    ) -> None:
        super().__init__(root=root, **kwargs)
        self.normal_dir, self.abnormal_dir, self.mask_dir = normal_dir, abnormal_dir, mask_dir
        self.group_pattern = re.compile(group_pattern) if group_pattern else None
        self.fractions = fractions

    def samples(self, root: Path) -> pd.DataFrame:
        """List the two directories and deal their groups into splits."""
        if not (root / self.normal_dir).is_dir():
            raise self.missing(f"has no directory '{self.normal_dir}'")
        rows = [(path, self.normal[0]) for path in images(root / self.normal_dir)]
        if self.abnormal_dir and (root / self.abnormal_dir).is_dir():
            top = root / self.abnormal_dir
            for path in images(top):
                rows.append((path, path.relative_to(top).parts[0] if path.parent != top else "abnormal"))
        table = pd.DataFrame(rows, columns=["image_path", "label"])
        table["group"] = [self._group(path.relative_to(root).as_posix()) for path in table["image_path"]]
        table["mask_path"] = self._masks(root, table)
        table["image_path"] = table["image_path"].astype(str)
        if self.group_pattern is None:
            logger.warning(
                "Folder: no group_pattern is given, so every image counts as its own patient. If patients have several "
                "images, name the part of the file name that tells them apart, or figures will flatter."
            )
        return split_by_group(table, self.normal, self.fractions, self.hparams["seed"])

    def _group(self, name: str) -> str:
        if self.group_pattern is None:
            return name
        match = self.group_pattern.search(name)
        if match is None or not match.groups() or missing(match.group(1)):  # an optional bracket may match nothing
            raise TableError(f"{name}: group_pattern '{self.group_pattern.pattern}' finds no group in it.")
        return match.group(1)

    def _masks(self, root: Path, table: pd.DataFrame) -> list[str]:
        if not self.mask_dir:
            return [""] * len(table)
        masks = by_stem(images(root / self.mask_dir))
        return [
            str(masks[path.stem]) if among(label, self.normal) is None and path.stem in masks else ""
            for path, label in zip(table["image_path"], table["label"], strict=True)
        ]
