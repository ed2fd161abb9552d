"""The three layouts of the benchmark's sets: ``data.json``, folders, and ISIC's tables of ground truth."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from medanomaly.csv_cells import some
from medanomaly.data import TableError, read_columns
from medanomaly.data.find_files import by_stem, directory, images, paired_masks
from medanomaly.imaging import ImageError, inside

NORMAL = ("normal", "good", "0")
ABNORMAL = ("abnormal", "tumor", "ungood", "bad", "1")
MASKS = ("annotation", "annotations", "mask", "masks", "ground_truth")
#: Parts of ISIC 2018 task 3, and what they are here.
ISIC_PARTS = {"Training": "train", "Validation": "val", "Test": "test"}
_SHOWN = 10

Rows = list[tuple[str, str, str, str]]  # image_path, label, split, mask_path


def read_json(root: Path, normal: str) -> Rows:
    """``data.json``: ``{"train": {"0": [names]}, "test": {"0": [names], "1": [names]}}``, names below ``images``.

    Any other key of ``train`` (``"1"``, ``"unlabeled"``) is left out: those images are for training with anomalies
    unseen among the normals, which one-class training is not.

    Raises:
        TableError: if the file is not of that form, or names images that are not there.
    """
    path = root / "data.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        lists = [("train", normal, data["train"]["0"]), ("test", normal, data["test"]["0"])]
        lists.append(("test", "abnormal", data["test"]["1"]))
        if not all(isinstance(name, str) for _, _, names in lists for name in names):
            raise TypeError("an image's name is not a string")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f'{path}: is not of the form {{"train": {{"0": [names]}}, "test": {{"0": [names], "1": [names]}}}} '
            f"({type(error).__name__}: {error}). Download it again."
        ) from error
    top = root / "images" if (root / "images").is_dir() else root
    rows: Rows = []
    problems = []
    for split, label, names in lists:
        for name in names:
            try:
                full = inside(top, name)
            except ImageError as error:
                raise TableError(f"{path}: {error}") from error
            if not full.is_file():
                problems.append(name)
            rows.append((str(full), label, split, ""))
    if problems:
        raise TableError(
            f"{path} names {len(problems)} images that are not below {top}: {', '.join(problems[:_SHOWN])}"
            f"{' …' if len(problems) > _SHOWN else ''}. Unpack the archive again."
        )
    return rows


def read_folders(root: Path, normal: str) -> Rows | None:
    """``train[/normal]``, ``test/normal``, ``test/<abnormal>`` and where there is one ``test/annotation``; or None.

    Raises:
        TableError: if there is a folder of masks and an abnormal image without its mask.
    """
    train = directory(root, [f"train/{name}" for name in NORMAL]) or directory(root, ("train",))
    healthy = directory(root, [f"test/{name}" for name in NORMAL])
    abnormal = directory(root, [f"test/{name}" for name in ABNORMAL])
    if train is None or healthy is None or abnormal is None:
        return None
    marked = directory(root, [f"test/{name}" for name in MASKS])
    found = images(abnormal)
    masks = paired_masks(found, marked) if marked else [""] * len(found)
    rows = [(str(path), normal, "train", "") for path in images(train)]
    rows += [(str(path), normal, "test", "") for path in images(healthy)]
    return rows + [(str(path), "abnormal", "test", mask) for path, mask in zip(found, masks, strict=True)]


def read_isic(root: Path) -> Rows | None:
    """ISIC 2018 task 3: ``ISIC2018_Task3_<Part>_Input`` and its ``…_GroundTruth`` folder with a CSV; or None.

    The CSV has one column a class with 1.0 for the image's own; the label is that column's name (``NV``: naevus).

    Raises:
        TableError: if a CSV is not of that form, or names images that are not there.
    """
    rows: Rows = []
    for part, split in ISIC_PARTS.items():
        stem = f"ISIC2018_Task3_{part}"
        folder, csv = root / f"{stem}_Input", root / f"{stem}_GroundTruth" / f"{stem}_GroundTruth.csv"
        if not csv.is_file():
            continue
        table = read_columns(csv, ("image",), ("image",), image="image")
        classes = [column for column in table.columns if column != "image"]
        marks = table[classes].apply(pd.to_numeric, errors="coerce")  # an empty cell is no 0: it is NaN
        odd = table["image"][~(marks.isin([0, 1]).all(axis=1) & (marks.sum(axis=1) == 1))]
        if not classes or len(odd):
            raise TableError(
                f"{csv}: expected a column 'image' and one a class, with a single 1.0 in each row and 0.0 elsewhere. "
                f"{len(odd)} rows are not so: {some(odd, _SHOWN)}."
            )
        pictures = by_stem(images(folder))
        missing = [name for name in table["image"] if name not in pictures]
        if missing:
            raise TableError(f"{csv} names {len(missing)} images that are not in {folder}: {', '.join(missing[:10])}.")
        labels = marks.idxmax(axis=1)
        rows += [
            (str(pictures[name]), str(label), split, "") for name, label in zip(table["image"], labels, strict=True)
        ]
    return rows or None
