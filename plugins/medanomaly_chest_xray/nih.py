"""NIH ChestX-ray14: ``Data_Entry_2017.csv``, images in numbered folders, and the official lists."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from medanomaly.csv_cells import among
from medanomaly.data import TableError, read_columns
from medanomaly.data.find_files import by_stem, images

#: The table's name: as first published, and after the release of 2020.
ENTRIES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
TRAIN_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"
HEALTHY = "No Finding"
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
_SHOWN = 10


def entries(root: Path) -> Path | None:
    """The table of images below ``root``, or None."""
    return next((root / name for name in ENTRIES if (root / name).is_file()), None)


def read_nih(root: Path, csv: Path, findings: Collection[str], normal: str, views: Collection[str]) -> pd.DataFrame:
    """List the images with no finding or one of ``findings``.

    Args:
        root: Folder of the set.
        csv: Its table.
        findings: Findings that make an image abnormal; the label is those it has, joined with ``|``.
        normal: Label of the images with no finding.
        views: View positions to keep, such as ``PA``; all where empty.

    Returns:
        Table with ``image_path, label, group, patient, view, sex``; and ``split`` (``train``, ``test``) where the
        official lists are there.

    Raises:
        TableError: for a table without the columns or with missing cells in them, an unknown finding, images that are
            named and not there, or one official list without the other or without some of the images.
    """
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown or not findings:
        what = f"unknown finding(s) {', '.join(unknown)}" if unknown else "no finding is named"
        raise TableError(f"ChestXray: {what}. Known: {', '.join(FINDINGS)}.")
    # A row without finding is no row with another finding, and one without view is none of another view.
    filled = (*_COLUMNS, *(["View Position"] if views else []))
    table = read_columns(csv, _COLUMNS, filled, image="Image Index")
    labels = [_label(cell, findings, normal) for cell in table["Finding Labels"]]
    table = table.assign(label=labels)[[label != "" for label in labels]]
    if views and "View Position" not in table.columns:
        raise TableError(f"{csv}: lacks the column 'View Position', which `views` needs.")
    if views:
        table = table[table["View Position"].isin(list(views))]
    result = pd.DataFrame(
        {
            "image_path": _located(root, csv, list(table["Image Index"])),
            "label": list(table["label"]),
            "group": [f"patient{patient}" for patient in table["Patient ID"]],
            "patient": list(table["Patient ID"]),
            "view": list(table.get("View Position", [""] * len(table))),
            "sex": list(table.get("Patient Gender", [""] * len(table))),
        }
    )
    split = _official(root, list(table["Image Index"]))
    return result if split is None else result.assign(split=split)


def _label(cell: str, findings: Collection[str], normal: str) -> str:
    """``""`` for an image that is left out: it has findings, but none of those asked for."""
    found = [name.strip() for name in cell.split("|")]
    if len(found) == 1 and among(found[0], [HEALTHY]):
        return normal
    return "|".join(sorted(set(found) & set(findings)))


def _located(root: Path, csv: Path, names: list[str]) -> list[str]:
    by_name = {path.name: str(path) for path in by_stem(images(root)).values()}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise TableError(
            f"{csv} names {len(missing)} of {len(names)} wanted images that are not below {root}: "
            f"{', '.join(missing[:_SHOWN])}{' …' if len(missing) > _SHOWN else ''}. "
            "Unpack all of images_001.tar.gz to images_012.tar.gz there, or take their rows out of the table."
        )
    return [by_name[name] for name in names]


def _official(root: Path, names: list[str]) -> list[str] | None:
    paths = {"train": root / TRAIN_LIST, "test": root / TEST_LIST}
    there = [path.is_file() for path in paths.values()]
    if not any(there):
        return None
    if not all(there):
        raise TableError(f"{root}: has one of {TRAIN_LIST} and {TEST_LIST}. Get both, or take the one away.")
    lists = {split: set(path.read_text(encoding="utf-8").split()) for split, path in paths.items()}
    both = lists["train"] & lists["test"]
    neither = [name for name in names if name not in lists["train"] and name not in lists["test"]]
    if both or neither:
        bad = sorted(both) or neither
        raise TableError(
            f"{root}: {len(bad)} images are in {'both' if both else 'neither'} of {TRAIN_LIST} and {TEST_LIST}: "
            f"{', '.join(bad[:_SHOWN])}{' …' if len(bad) > _SHOWN else ''}. Download the lists again."
        )
    return ["train" if name in lists["train"] else "test" for name in names]
