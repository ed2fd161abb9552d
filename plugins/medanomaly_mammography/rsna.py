"""RSNA screening mammography 2022: ``train.csv`` and ``train_images/<patient>/<image>.dcm``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from medanomaly.data import TableError, read_columns

_COLUMNS = ("patient_id", "image_id", "laterality", "view", "cancer")
#: Optional columns of the publisher, under the name that the sample table gives them.
_MORE = {"site_id": "site", "machine_id": "machine", "age": "age", "density": "density", "implant": "implant"}
_FOLDERS = ("train_images", "images", ".")
_SUFFIXES = (".dcm", ".dicom", ".png")
_SHOWN = 10


def read_rsna(root: Path, normal: str, views: Collection[str]) -> pd.DataFrame:
    """List the images of ``train.csv``; the competition's own test images have no labels and are not used.

    Args:
        root: Folder of the set.
        normal: Label of the images of breasts without cancer.
        views: Views to keep, such as ``CC`` and ``MLO``; all where empty.

    Returns:
        Table with ``image_path, label, group, patient, laterality, view`` and, where the file has them, ``site,
        machine, age, density, implant``.

    Raises:
        TableError: if columns or cells of patient, image or ``cancer`` are missing, ``cancer`` is neither 0 nor 1, or
            images are named and not there.
    """
    csv = root / "train.csv"
    filled = ("patient_id", "image_id", "cancer", *(["view"] if views else []))
    table = read_columns(csv, _COLUMNS, filled, image="image_id")
    odd = sorted(set(table["cancer"]) - {"0", "1"})
    if odd:
        raise TableError(f"{csv}: column 'cancer' holds {', '.join(map(repr, odd[:_SHOWN]))}; expected 0 or 1.")
    if views:
        table = table[table["view"].isin(list(views))]
    result = pd.DataFrame(
        {
            "image_path": _located(root, csv, table),
            "label": ["cancer" if value == "1" else normal for value in table["cancer"]],
            "group": [f"patient{patient}" for patient in table["patient_id"]],
            "patient": list(table["patient_id"]),
            "laterality": list(table["laterality"]),
            "view": list(table["view"]),
        }
    )
    return result.assign(**{new: list(table[old]) for old, new in _MORE.items() if old in table.columns})


def _located(root: Path, csv: Path, table: pd.DataFrame) -> list[str]:
    found, missing = [], []
    for patient, image in zip(table["patient_id"], table["image_id"], strict=True):
        candidates = [root / top / patient / f"{image}{suffix}" for top in _FOLDERS for suffix in _SUFFIXES]
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            missing.append(f"{patient}/{image}.dcm")
        found.append(str(path or ""))
    if missing:
        raise TableError(
            f"{csv} names {len(missing)} of {len(table)} images that are not below {root / _FOLDERS[0]}: "
            f"{', '.join(missing[:_SHOWN])}{' …' if len(missing) > _SHOWN else ''}. Unpack train_images there, or take "
            "their rows out of the table."
        )
    return found
