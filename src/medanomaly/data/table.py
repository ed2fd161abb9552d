"""The sample table: one row an image, checked before anything is trained on it.

Columns: ``image_path`` (or an address inside an archive), ``label`` (the class's own name), ``split`` (``train``,
``val``, ``test``), ``group`` (what must stay together: the patient, the study, the run of near-identical frames), and
where known ``mask_path``. Whether a row is abnormal is derived from ``label``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from medanomaly._moved import old_names
from medanomaly.csv_cells import among, missing, some
from medanomaly.data.csv_table import read_columns, read_csv
from medanomaly.data.required_cells import TableError, noted, require, tidied
from medanomaly.data.reserved_columns import renamed
from medanomaly.imaging import joined, several, split_frame

__all__ = [
    "REQUIRED",
    "SPLITS",
    "TableError",
    "check",
    "complete",
    "counts",
    "digest",
    "read_columns",
    "read_csv",
]

__getattr__ = old_names(__name__)

SPLITS = ("train", "val", "test")
REQUIRED = ("image_path", "label", "split", "group")


def complete(table: pd.DataFrame, normal: Collection[str]) -> pd.DataFrame:
    """Check that nothing is missing, fill in ``mask_path`` and derive ``abnormal``; returns a new table.

    Args:
        table: The columns of :data:`REQUIRED`, and where known ``mask_path``: empty, None or NaN where there is none.
        normal: Names of the normal classes. A label that means one of them, upper and lower case and blanks aside, gets
            its name, and that is logged.

    Returns:
        The same rows in the same order; text in :data:`REQUIRED` and ``mask_path``, and ``abnormal`` (bool: ``label``
        is none of ``normal``). A column of the caller's that is called as one of the toolkit's own gets ``(given)``
        behind its name.

    Raises:
        TableError: if a column is missing, or a cell of :data:`REQUIRED`; names the rows and the column.
    """
    table = table.reset_index(drop=True).copy()
    lacking = [name for name in REQUIRED if name not in table.columns]
    if lacking:
        raise TableError(f"The sample table lacks the column(s) {', '.join(lacking)}.")
    twice = [name for name in (*REQUIRED, "mask_path") if list(table.columns).count(name) > 1]
    if twice:
        raise TableError(f"The sample table has the column(s) {', '.join(twice)} more than once. Rename or remove one.")
    require(table, REQUIRED, normal)
    table = renamed(table)
    table["mask_path"] = [
        "" if missing(path) else str(path) for path in table.get("mask_path", pd.Series("", index=table.index))
    ]
    table = tidied(table, normal)
    for name in REQUIRED:
        table[name] = table[name].astype(str)
    table["abnormal"] = ~table["label"].isin(list(normal))
    return noted(table, _frames_apart(table))


def _picture(path: str) -> tuple[str, int]:
    """One spelling of an image's address: its file, and which frame of it."""
    file, frame = split_frame(path) if "#frame=" in path else (path, None)
    return os.path.normpath(file), frame or 1


def _frames_apart(table: pd.DataFrame) -> list[str]:
    """What should be known of files whose frames the table calls different patients, and parts into splits.

    The pages of one file may be of several patients; those of a DICOM file are not.
    """
    splits: dict[str, set[str]] = {}
    for path, split in zip(table["image_path"], table["split"], strict=True):
        if "#frame=" in path:
            splits.setdefault(_picture(path)[0], set()).add(split)
    apart = [file for file, found in splits.items() if len(found) > 1]
    if not apart:
        return []
    names = some(Path(file).name for file in apart)
    return [
        f"Frames of one file are in more than one split, of {len(apart)} file(s): {names}. If they show one patient, "
        "give them one group."
    ]


def placed(table: pd.DataFrame, root: Path, columns: Collection[str]) -> pd.DataFrame:
    """A completed table whose relative paths in ``columns`` are below ``root``; those that begin with it stay."""

    def place(path: str) -> str:
        known = not path or Path(path).is_absolute() or Path(path).is_relative_to(root)
        return path if known else str(root / path)

    def places(masks: str) -> str:
        parts, whole = several(masks), place(masks)
        return whole if len(parts) < 2 or Path(whole).is_file() else joined(map(place, parts))

    return table.assign(
        **{name: [(places if name == "mask_path" else place)(path) for path in table[name]] for name in columns}
    )


def check(table: pd.DataFrame, normal: Collection[str]) -> None:
    """Check a completed table and raise one error that lists everything found.

    Raises:
        TableError: for an unknown split, a group in two splits, an image listed twice, no normal image in ``train``, a
            normal class that no image has, or no image in ``val`` or ``test``.
    """
    problems = []
    unknown = table.loc[~table["split"].isin(SPLITS)]
    if len(unknown):
        problems.append(
            f"{len(unknown)} rows have a split that is not train, val or test: "
            + some([f"{r.image_path} ('{r.split}')" for r in unknown.itertuples()])
        )
    spans = table.groupby("group")["split"].agg(lambda s: sorted(set(s)))
    crossing = spans[[len(splits) > 1 for splits in spans]]
    if len(crossing):
        problems.append(
            f"{len(crossing)} groups are in more than one split, so that one patient would be learned and tested: "
            + some([f"{group} ({', '.join(splits)})" for group, splits in crossing.items()])
        )
    twice = table["image_path"][pd.Series(map(_picture, table["image_path"]), index=table.index).duplicated()]
    if len(twice):
        problems.append(f"{len(twice)} images are listed more than once: " + some(sorted(set(twice))))
    train_normal = table[(table["split"] == "train") & ~table["abnormal"]]
    if not len(train_normal):
        problems.append(
            f"no normal image is in train (normal: {', '.join(sorted(normal))}; labels found: "
            f"{', '.join(sorted(set(table['label'])))}). Name the normal classes with `normal`."
        )
    absent = [name for name in normal if among(name, set(table["label"])) is None]
    if absent and len(train_normal):
        problems.append(
            f"no image has the label(s) {', '.join(absent)} that `normal` names; labels found: "
            f"{', '.join(sorted(set(table['label'])))}. Correct the name, or take it out of `normal`."
        )
    for split in ("val", "test"):
        if not (table["split"] == split).any():
            problems.append(f"no image is in {split}")
    if problems:
        raise TableError("The sample table cannot be used:\n- " + "\n- ".join(problems))


def digest(table: pd.DataFrame) -> str:
    """SHA-256 (64 hex digits) of which image has which label, group and split; row order does not matter."""
    lines = sorted("\t".join(row) for row in table[list(REQUIRED)].astype(str).itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def counts(table: pd.DataFrame) -> list[dict]:
    """Images and groups for each split and label, in the order train, val, test; every row is in one of them."""
    rows = []
    for split in (*SPLITS, *sorted(set(table["split"].astype(str)) - set(SPLITS))):
        part = table[table["split"].astype(str) == split]
        for label, same in part.groupby("label", dropna=False):
            rows.append(
                {
                    "split": split,
                    "label": str(label),
                    "normal": not bool(same["abnormal"].iloc[0]),
                    "images": len(same),
                    "groups": int(same["group"].nunique()),
                }
            )
    return rows
