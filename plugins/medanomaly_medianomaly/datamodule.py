"""``MedIAnomaly``: the benchmark's published splits, with validation drawn from its training images."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pandas as pd

from medanomaly.csv_cells import missing
from medanomaly.data import MedicalDataModule, TableError
from medanomaly.data.find_files import directory
from medanomaly.data.splits import carve_validation
from medanomaly_medianomaly.layouts import read_folders, read_isic, read_json

logger = logging.getLogger(__name__)

#: Names that each set's folder goes by; upper and lower case, blanks, ``-`` and ``_`` make no difference.
SETS = {
    "rsna": ("RSNA",),
    "vincxr": ("VinCXR", "VinDr-CXR", "VinBigData"),
    "brain_tumor": ("Brain Tumor",),
    "lag": ("LAG",),
    "isic2018": ("ISIC2018_Task3", "ISIC2018"),
    "camelyon16": ("Camelyon16",),
    "brats2021": ("BraTS2021",),
}
#: Where a file's name tells the patient.
PATTERNS = {"brats2021": r"(BraTS2021_\d+)"}


class MedIAnomaly(MedicalDataModule):
    """A set of the MedIAnomaly benchmark (Cai et al., Medical Image Analysis 2025), with its published test.

    The benchmark has no validation part: one is drawn from the normal training images (ISIC 2018 brings its own), so it
    holds normal images alone, and only rules that need no abnormal one (``quantile``, ``sigma``) can be used.

    Args:
        name: ``rsna``, ``vincxr``, ``brain_tumor``, ``lag``, ``isic2018``, ``camelyon16`` or ``brats2021``.
        normal: Labels that count as normal: by default ``normal``, and ``NV`` (naevus) for ISIC 2018.
        group_pattern: Regular expression whose first bracket finds the patient in a file's name. By default the
            BraTS case for ``brats2021``; without one each image is its own group.
        val_share: Share of the training groups that becomes ``val``.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`; ``root`` is the
            benchmark's folder with one folder a set, or the set's own folder.
    """

    folder = "MedIAnomaly-Data"

    def __init__(
        self,
        root: str | Path | None = None,
        name: str = "rsna",
        normal: list[str] | str | None = None,
        group_pattern: str | None = None,
        val_share: float = 0.15,
        **kwargs,
    ) -> None:
        if name not in SETS:
            raise ValueError(f"name must be one of {', '.join(SETS)}, not '{name}'")
        self.expects = (
            f"the folder {' (or '.join(SETS[name])}{')' * (len(SETS[name]) - 1)} of the benchmark, or what it holds: "
            "images/ with data.json; or train/ and test/ with folders of normal and abnormal images; or ISIC's Input "
            "and GroundTruth folders. Get the prepared archives as described at "
            "https://github.com/caiyu6666/MedIAnomaly and unpack them there."
        )
        super().__init__(
            root=root,
            normal=normal or ("NV" if name == "isic2018" else "normal"),
            **kwargs,
        )
        self.set_name = name
        pattern = group_pattern or PATTERNS.get(name)
        self.group_pattern = re.compile(pattern) if pattern else None
        self.val_share = val_share

    def samples(self, root: Path) -> pd.DataFrame:
        """Read whichever layout is there; the published split is kept."""
        top = directory(root, SETS[self.set_name]) or root
        if (top / "data.json").is_file():
            rows = read_json(top, self.normal[0])
        else:
            found = read_folders(top, self.normal[0]) or read_isic(top)
            if found is None:
                raise self.missing("has neither data.json, nor train and test folders, nor ISIC's GroundTruth")
            rows = found
        table = pd.DataFrame(rows, columns=["image_path", "label", "split", "mask_path"])
        table["patient"] = [self._patient(root, Path(path)) for path in table["image_path"]]
        self._warn_of_crossing(table)
        # The published split is kept even where it parts a patient, so the group has the part's name in it.
        table["group"] = table["split"] + "-" + table["patient"]
        if "val" not in set(table["split"]):
            table = carve_validation(table, self.normal, self.val_share, self.hparams["seed"])
        return table

    def _patient(self, root: Path, path: Path) -> str:
        if self.group_pattern is None:
            return path.relative_to(root).as_posix()
        found = self.group_pattern.search(path.name)
        if found is None or not found.groups() or missing(found.group(1)):
            raise TableError(f"{path}: group_pattern '{self.group_pattern.pattern}' finds no group in it.")
        return found.group(1)

    def _warn_of_crossing(self, table: pd.DataFrame) -> None:
        crossing = int((table.groupby("patient")["split"].nunique() > 1).sum())
        if crossing:
            logger.warning(
                "MedIAnomaly: %d patients are in more than one part of the published split of %s: figures flatter.",
                crossing,
                self.set_name,
            )
