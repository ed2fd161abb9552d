"""The sample table: one row an image, checked before anything is trained on it.

Columns: ``image_path`` (or an address inside an archive), ``label`` (the class's own name), ``split`` (``train``,
``val``, ``test``), ``group`` (what must stay together: the patient, the study, the run of near-identical frames), and
where known ``mask_path``. Whether a row is abnormal is derived from ``label``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly.imaging import ImageError, inside

SPLITS = ("train", "val", "test")
REQUIRED = ("image_path", "label", "split", "group")
_SHOWN = 20


class TableError(ValueError):
    """The sample table cannot be used. The message lists the offending rows and the remedy."""


def read_columns(path: Path, columns: Collection[str]) -> pd.DataFrame:
    """Read a CSV as text, every cell as it stands.

    Raises:
        TableError: if it is no readable CSV or lacks one of ``columns`` (named).
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: is not a readable CSV ({error}).") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f"{path}: lacks the column(s) {', '.join(missing)}. It has: {', '.join(table.columns)}.")
    return table


def read_csv(root: Path, name: str) -> pd.DataFrame:
    """Read a CSV ``path,label,group[,split][,mask]`` whose paths lie below ``root``.

    Returns:
        Table of strings with ``image_path`` and ``mask_path`` as full paths (``""`` where there is no mask), ``label``,
        ``group`` and any other column of the file.

    Raises:
        TableError: if the file is no CSV or lacks a column (named), or if images or masks are missing or lie outside
            ``root`` (all listed).
    """
    path = root / name
    table = read_columns(path, ("path", "label", "group"))
    table = table.rename(columns={"path": "image_path", "mask": "mask_path"})
    problems: list[str] = []
    for column in {"image_path", "mask_path"} & set(table.columns):
        table[column] = [_existing(root, value, problems) if value else "" for value in table[column]]
    if problems:
        more = f"\n- and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TableError(f"{path} names files that cannot be used:\n- " + "\n- ".join(problems[:_SHOWN]) + more)
    return table


def _existing(root: Path, path: str, problems: list[str]) -> str:
    try:
        full = inside(root, path)
    except ImageError as error:
        problems.append(str(error))
        return path
    if not full.is_file():
        problems.append(f"{path}: no such file below {root}")
    return str(full)


def complete(table: pd.DataFrame, normal: Collection[str]) -> pd.DataFrame:
    """Fill in ``mask_path`` and derive ``abnormal`` (bool: ``label`` is none of ``normal``); returns a new table."""
    table = table.reset_index(drop=True).copy()
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise TableError(f"The sample table lacks the column(s) {', '.join(missing)}.")
    if "mask_path" not in table.columns:
        table["mask_path"] = ""
    for name in (*REQUIRED, "mask_path"):
        table[name] = table[name].astype(str)
    table["abnormal"] = ~table["label"].isin(list(normal))
    return table


def check(table: pd.DataFrame, normal: Collection[str]) -> None:
    """Check a completed table and raise one error that lists everything found.

    Raises:
        TableError: for an unknown split, a group in two splits, an image listed twice, no normal image in ``train``,
            or no image in ``val`` or ``test``.
    """
    problems = []
    unknown = table.loc[~table["split"].isin(SPLITS)]
    if len(unknown):
        problems.append(
            f"{len(unknown)} rows have a split other than train, val, test: "
            + _some([f"{r.image_path} ('{r.split}')" for r in unknown.itertuples()])
        )
    spans = table.groupby("group")["split"].agg(lambda s: sorted(set(s)))
    crossing = spans[[len(splits) > 1 for splits in spans]]
    if len(crossing):
        problems.append(
            f"{len(crossing)} groups are in more than one split, so that one patient would be learned and tested: "
            + _some([f"{group} ({', '.join(splits)})" for group, splits in crossing.items()])
        )
    twice = table["image_path"][table["image_path"].duplicated()]
    if len(twice):
        problems.append(f"{len(twice)} images are listed more than once: " + _some(sorted(set(twice))))
    train_normal = table[(table["split"] == "train") & ~table["abnormal"]]
    if not len(train_normal):
        problems.append(
            f"no normal image is in train (normal: {', '.join(sorted(normal))}; labels found: "
            f"{', '.join(sorted(set(table['label'])))}). Name the normal classes with `normal`."
        )
    for split in ("val", "test"):
        if not (table["split"] == split).any():
            problems.append(f"no image is in {split}")
    if problems:
        raise TableError("The sample table cannot be used:\n- " + "\n- ".join(problems))


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def split_by_group(table: pd.DataFrame, normal: Collection[str], fractions: Sequence[float], seed: int) -> pd.DataFrame:
    """Deal groups into train, val and test, stratified by label; returns a new table with ``split``.

    Groups with only normal images are dealt by ``fractions``. One-class training has no use for abnormal images, so
    groups that hold any go to val and test alone, in the ratio of those two fractions. Within each kind, groups are
    shuffled by the seed, ordered by their commonest abnormal label, and each goes to the split that lacks most: so
    every label is spread alike, and the totals are within one group of their shares.

    Args:
        table: Columns ``label`` and ``group``.
        normal: The labels that count as normal.
        fractions: Shares of train, val and test; positive, and together 1.
        seed: Seed of the shuffle.
    """
    shares = np.asarray(fractions, dtype=float)
    if len(shares) != 3 or (shares <= 0).any() or not np.isclose(shares.sum(), 1):
        raise TableError(f"Split fractions must be three positive numbers with sum 1, not {list(fractions)}.")
    rng = np.random.default_rng(seed)
    abnormal = table[~table["label"].isin(list(normal))]
    commonest = abnormal.groupby("group")["label"].agg(lambda labels: labels.mode().iloc[0]).to_dict()
    groups = sorted(set(table["group"]))
    rng.shuffle(groups)
    split_of: dict[str, str] = {}
    for names, parts, chosen in (
        (SPLITS, shares, [group for group in groups if group not in commonest]),
        (SPLITS[1:], shares[1:], sorted((g for g in groups if g in commonest), key=lambda g: commonest[g])),
    ):
        parts, dealt = parts / parts.sum(), np.zeros(len(names))
        for number, group in enumerate(chosen, start=1):
            lacks = int(np.argmax(parts * number - dealt))
            dealt[lacks] += 1
            split_of[group] = names[lacks]
    return table.assign(split=table["group"].map(split_of))


def digest(table: pd.DataFrame) -> str:
    """SHA-256 (64 hex digits) of which image has which label, group and split; row order does not matter."""
    lines = sorted("\t".join(row) for row in table[list(REQUIRED)].astype(str).itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def counts(table: pd.DataFrame) -> list[dict]:
    """Images and groups for each split and label, in the order train, val, test."""
    rows = []
    for split in SPLITS:
        part = table[table["split"] == split]
        for label, same in part.groupby("label"):
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
