"""``Table``: a CSV says which image is what and where it belongs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medanomaly.data import MedicalDataModule, read_csv, split_by_group


class Table(MedicalDataModule):
    """Images listed in a CSV with the columns ``path,label,group[,split][,mask]``; paths are below ``root``.

    Args:
        csv: The CSV's path below ``root``.
        fractions: Shares of train, val and test among groups, where the CSV has no column ``split``.
        masks_enclose: Whether masks are boxes or circles around lesions: then FROC counts how many are found.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "table"
    expects = "a file split.csv with the columns path,label,group[,split][,mask] and the images it names."

    def __init__(
        self,
        root: str | Path | None = None,
        csv: str = "split.csv",
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        masks_enclose: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(root=root, **kwargs)
        self.csv = csv
        self.fractions = fractions
        self.masks_enclose = masks_enclose

    def samples(self, root: Path) -> pd.DataFrame:
        """Read the CSV, and deal its groups into splits if it does not say."""
        if not (root / self.csv).is_file():
            raise self.missing(f"has no file '{self.csv}'")
        table = read_csv(root, self.csv, self.normal)
        if "split" not in table.columns:
            table = split_by_group(table, self.normal, self.fractions, self.hparams["seed"])
        return table
