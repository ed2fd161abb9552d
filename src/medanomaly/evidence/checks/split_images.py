"""Read the images of a split again as the test read them, for a data module of ours or of anomalib's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from medanomaly.anomalib_compat.datamodules import collate_function
from medanomaly.evidence.checks.context import CheckError

_ABNORMAL = 1  # anomalib's label_index


def subset(module: Any, split: str) -> Any:
    """The images of ``train``, ``val`` or ``test`` without augmentation.

    Args:
        module: A data module of ours, or one of anomalib's after its setup.
        split: Which.

    Returns:
        With ``paths``, ``abnormal`` (n,) bool tensor, ``samples`` (a table with ``image_path``, ``mask_path`` and
        ``group``, both text), and ``__getitems__(rows)``: a batch with ``image`` (B, 3, H, W) and, where masks are
        known, ``gt_mask`` (B, H, W) bool.

    Raises:
        CheckError: if the data module has none that can be read one by one.
    """
    if hasattr(module, "subset"):
        return module.subset(split)
    data: Any = getattr(module, f"{split}_data", None)
    if not isinstance(getattr(data, "samples", None), pd.DataFrame):
        raise CheckError(
            f"needs images that can be read one by one: the data module {type(module).__name__} is neither of "
            f"medanomaly nor of anomalib, or has no {split} images"
        )
    if not len(data):
        raise CheckError(f"the data module {type(module).__name__} has no {split} images")
    return _Foreign(data, module, split)


class _Foreign:
    """A data set of anomalib's in the form of ours; each image is its own group."""

    def __init__(self, data: Any, module: Any, split: str) -> None:
        if split == "train":  # as the test reads images: training may turn or darken them at random
            data = copy.copy(data)
            data.augmentations = getattr(getattr(module, "test_data", None), "augmentations", None)
        self._data = data
        self._collate = collate_function(module, data)
        table = data.samples
        self.paths: list[str] = [str(path) for path in table["image_path"]]
        self.abnormal = torch.tensor((table["label_index"] == _ABNORMAL).to_numpy(dtype=bool))
        given = table["mask_path"] if "mask_path" in table else pd.Series("", index=table.index)
        masks = ["" if not isinstance(path, str) else path for path in given]
        self.samples = pd.DataFrame({"image_path": self.paths, "mask_path": masks, "group": self.paths})

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, rows: Sequence[int]) -> Any:
        return self._collate([self._data[int(row)] for row in rows])
