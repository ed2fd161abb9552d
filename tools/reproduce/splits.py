"""Lists of images that no data plugin has, written as CSVs for the ``Table`` plugin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tools.reproduce.paths import DATA, folder


def table(path: str) -> pd.DataFrame:
    """A ``split.csv`` below the data folder, every cell as text."""
    top = folder(DATA)
    assert top is not None, "a training is only prepared where its data are"
    return pd.read_csv(top / path, dtype=str, keep_default_na=False)


def groups(path: str) -> dict[str, str]:
    """Full path of each image of a ``split.csv`` to its group."""
    top = folder(DATA)
    assert top is not None
    split, home = table(path), top / Path(path).parent
    return {str(home / image): group for image, group in zip(split["path"], split["group"], strict=True)}


def by_image(split: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same images dealt at random, image by image, with as many of each class in each part as before.

    So patients come to lie on both sides. Each image is its own group, or the plugin would refuse the split.
    """
    rng = np.random.default_rng(seed)
    dealt = split.copy()
    for label in sorted(set(split["label"])):
        rows = split.index[split["label"] == label]
        dealt.loc[rows, "split"] = rng.permutation(split.loc[rows, "split"].to_numpy())
    return dealt.assign(group=[f"image{i}" for i in range(len(dealt))])


def random_malaria(work: Path, seed: int) -> None:
    """``random.csv``: malaria cells dealt by image."""
    by_image(table("malaria_cells/split.csv"), seed).to_csv(work / "random.csv", index=False)


def exact_masks(work: Path, seed: int) -> None:
    """``exact.csv``: the main split with the frames that have exact masks as its only abnormal test images.

    Some of them are validation frames: localisation is read with the pixel threshold that came from there.
    """
    del seed
    split = table("wce_bleeding/split.csv")
    top = folder(DATA)
    assert top is not None
    masks = sorted((top / "wce_bleeding" / "pixel_masks").glob("*.png"))
    exact = pd.DataFrame(
        {
            "path": [f"pixel_mask_images_png/{mask.name}" for mask in masks],
            "label": "bleeding, exact mask",
            "group": [f"exact-{mask.stem}" for mask in masks],
            "split": "test",
            "mask": [f"pixel_masks/{mask.name}" for mask in masks],
        }
    )
    kept = split[(split["split"] != "test") | (split["label"] == "normal")]
    pd.concat([kept, exact]).to_csv(work / "exact.csv", index=False)
