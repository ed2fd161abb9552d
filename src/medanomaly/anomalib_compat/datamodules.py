"""anomalib's data module and data set, for images whose table and splits we make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import pandas as pd
from anomalib.data import AnomalibDataModule, AnomalibDataset
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler

__all__ = ["OwnSplits", "OwnTable", "UnrepeatedDistributedSampler", "collate_function"]


class OwnSplits(AnomalibDataModule):
    """A data module that makes its three data sets itself; anomalib splits nothing."""

    @abstractmethod
    def make_splits(self) -> None:
        """Set ``train_data``, ``val_data`` and ``test_data``."""

    def _setup(self, _stage: str | None = None) -> None:
        self.make_splits()

    def _create_test_split(self) -> None: ...

    def _create_val_split(self) -> None: ...


class OwnTable(AnomalibDataset):
    """A data set whose table keeps its order, and whose images need not be files."""

    def set_table(self, table: pd.DataFrame) -> None:
        """Take a table as ``samples``, as it is."""
        self._samples = table


def collate_function(module: Any, data: Any) -> Callable[..., Any]:
    """What makes a batch of a data set's items: the data module's, where the user set one, else the data set's."""
    return getattr(module, "external_collate_fn", None) or data.collate_fn
