"""``StudySet``: the study's use of MNIST and MedMNIST sets, which no clinic would copy, so that it is no plugin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly_medmnist import MedMnist


class StudySet(MedMnist):
    """A MedMNIST set or MNIST with as many images as the study takes.

    Args:
        train_images: Most normal training images, drawn by the seed; None for all.
        val_images: Likewise of validation.
        test_images: Most normal test images, which are also what synthetic anomalies are made from; None for all.
        both_classes: Pass the abnormal images of training and validation off as normal, as the study's count of 5,232
            PneumoniaMNIST images implies. ``label`` then says so.
        root, name, **kwargs: As for :class:`medanomaly_medmnist.MedMnist`.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        name: str = "pneumoniamnist",
        train_images: int | None = None,
        val_images: int | None = None,
        test_images: int | None = None,
        both_classes: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(root=root, name=name, **kwargs)
        self.most = {"train": train_images, "val": val_images, "test": test_images}
        self.both_classes = both_classes

    def samples(self, root: Path) -> pd.DataFrame:
        """The set's table, relabelled and cut down."""
        table = super().samples(root)
        if self.both_classes:
            passed_off = (table["split"] != "test") & ~table["label"].isin(self.normal)
            table.loc[passed_off, "label"] = self.normal[0]
        rng = np.random.default_rng(int(self.hparams["seed"]))
        normal = table["label"].isin(self.normal)
        out: list[int] = []
        for split, most in self.most.items():
            rows = table.index[normal & (table["split"] == split)].to_numpy()
            if most is not None and len(rows) > most:
                out += rng.permutation(rows)[most:].tolist()
        return table.drop(index=out).reset_index(drop=True)
