"""Score images outside validation during training, for choices that need other images than validation's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from medanomaly.csv_cells import some
from medanomaly.data.required_cells import TableError
from medanomaly.runs.tested_model import TestedModel


@dataclass(frozen=True)
class Scored:
    """Raw scores (n,) of images, and what the sample table says of them (n,) of bool."""

    raw: torch.Tensor
    abnormal: np.ndarray

    @property
    def normals(self) -> np.ndarray:
        """Raw scores of the normal images."""
        return self.raw.numpy()[~self.abnormal]


def score(pl_module: Any, loader: DataLoader) -> Scored:
    """Raw scores of a loader's images by the weights as they are now; leaves the random state as it was.

    Args:
        pl_module: An anomalib module in evaluation mode, ours or another.
        loader: Gives batches with ``image`` (B, 3, H, W) and ``gt_label`` (B,).

    Raises:
        TableError: if a batch has no labels, as a foreign data module's has where one of them is unknown.
    """
    raw, abnormal, tested = [], [], TestedModel(pl_module)
    # A loader draws a number for its workers: without this, looking on would change the order of training images.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for batch in loader:
            if batch.gt_label is None:
                raise TableError(
                    "Not every image that a checkpoint is chosen by has a label: one is missing among "
                    f"{some(batch.image_path or ())}. Give each a label, or leave these images out."
                )
            abnormal.append(batch.gt_label.flatten().cpu().numpy().astype(bool))
            raw.append(tested.scores(batch.image.as_subclass(torch.Tensor), "validation"))
    return Scored(torch.cat(raw), np.concatenate(abnormal))


def ranked(pl_module: Any, raw: torch.Tensor) -> np.ndarray:
    """The scores (n,) that decide: raw ones, or with a two-sided rule the distances from its centre."""
    post: Any = getattr(pl_module, "post_processor", None)
    if hasattr(post, "deciding"):
        raw = post.ranking_score(raw.to(post.image_centre.device)).cpu()
    return raw.numpy().astype(np.float64)


def train_normals(module: Any, at_most: int) -> DataLoader:
    """At most ``at_most`` training normals, evenly spread. A data module that is not ours gives its training set."""
    ours = hasattr(module, "normals_dataloader")
    return _thinned(module.normals_dataloader("train") if ours else module.train_dataloader(), at_most)


def all_images(module: Any, split: str, at_most: int) -> DataLoader:
    """At most ``at_most`` images of ``val`` or ``test``, evenly spread, whatever their labels; no synthetic ones."""
    if hasattr(module, "images_dataloader"):
        return _thinned(module.images_dataloader(split), at_most)
    return _thinned(module.val_dataloader() if split == "val" else module.test_dataloader(), at_most)


def _thinned(loader: DataLoader, at_most: int) -> DataLoader:
    """The loader in a fixed order, on an even choice of its images."""
    data: Any = loader.dataset
    if len(data) > at_most:
        data = Subset(data, np.linspace(0, len(data) - 1, at_most).round().astype(int).tolist())
    return DataLoader(data, batch_size=loader.batch_size, num_workers=loader.num_workers, collate_fn=loader.collate_fn)
