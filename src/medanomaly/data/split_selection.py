"""Select the rows of each split that the model gets: normals alone, labelled images, or some contamination."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medanomaly.data.table import TableError

CHOICES = ("normal", "labelled")


@dataclass(frozen=True)
class SplitSelection:
    """What of each split is used.

    Args:
        training: ``normal`` uses the normal training images alone, ``labelled`` the abnormal ones too.
        validation: Likewise for validation images (synthetic anomalies always stay).
        contamination: With ``training: normal``, the share of the training images that are abnormal ones passed off as
            normal, in [0, 0.5].
        seed: Draws them.

    Raises:
        ValueError: for an option out of range.
    """

    training: str = "normal"
    validation: str = "labelled"
    contamination: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("training", "validation"):
            if getattr(self, name) not in CHOICES:
                raise ValueError(f"{name} must be one of {', '.join(CHOICES)}, not '{getattr(self, name)}'")
        if not 0 <= self.contamination <= 0.5:
            raise ValueError(f"contamination must be a share from 0 to 0.5, not {self.contamination}")
        if self.contamination and self.training == "labelled":
            raise ValueError("contamination passes abnormal images off as normal: it needs training: normal")

    def rows(self, table: pd.DataFrame, split: str) -> pd.DataFrame:
        """The split's rows in use; in contaminated training all count as not ``abnormal``, ``label`` stays true.

        Raises:
            TableError: if there are fewer abnormal training images than the contamination asks for.
        """
        rows = table[table["split"] == split]
        if split == "train" and self.training == "normal":
            return self._contaminated(rows) if self.contamination else rows[~rows["abnormal"]]
        if split == "val" and self.validation == "normal":
            return rows[~rows["abnormal"] | (rows["artificial"] != "" if "artificial" in rows else False)]
        return rows

    def _contaminated(self, rows: pd.DataFrame) -> pd.DataFrame:
        abnormal = rows.index[rows["abnormal"]]
        wanted = round(self.contamination / (1 - self.contamination) * int((~rows["abnormal"]).sum()))
        if wanted > len(abnormal):
            raise TableError(
                f"contamination {self.contamination:g} needs {wanted} abnormal training images, and train has "
                f"{len(abnormal)}."
            )
        drawn = np.random.default_rng(self.seed).choice(abnormal, wanted, replace=False)
        return rows[~rows["abnormal"] | rows.index.isin(drawn)].assign(abnormal=False)
