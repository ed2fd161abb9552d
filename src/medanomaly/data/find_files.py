"""Finding images and folders, and dealing groups into splits, for data plugins."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly.csv_cells import some
from medanomaly.data.required_cells import TableError, is_normal, tidied
from medanomaly.data.table import SPLITS
from medanomaly.imaging import IMAGE_SUFFIXES, search

logger = logging.getLogger(__name__)


def images(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """All images below ``folder``, at any depth, sorted by path; what is passed over is said in the log.

    Those with one of ``suffixes`` (lower case, with the dot) and, where ``.dcm`` is among these, DICOM files of other
    names. Files of the system and hidden ones are passed over, and links are followed once, see
    :func:`medanomaly.imaging.search`. A folder that is not there holds none.

    Raises:
        TableError: if a folder cannot be looked into.
    """
    if not folder.is_dir():
        return []
    found = search(folder, suffixes)
    if found.closed:
        raise TableError(
            f"{len(found.closed)} folders cannot be looked into: "
            + some([f"{path} ({why})" for path, why in found.closed])
            + ". Allow reading them, or move them out of the data's folder."
        )
    if found.passed:
        # A folder, and what stands behind the point of a file's name, may name a patient.
        logger.info("A folder of the data: %s", found.passed.sentence(kinds=False))
    return found.files


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by name without suffix.

    Raises:
        TableError: if two bear the same name, because it would be chance which one is used.
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise TableError(f"{other} and {path} bear the same name. Move one of them out of the data's folder.")
    return found


def directory(root: Path, names: Iterable[str]) -> Path | None:
    """The first of ``names`` that is a directory below ``root``, or None.

    Upper and lower case, blanks, ``-`` and ``_`` make no difference, since publishers' archives and mirrors differ in
    them: ``non-bleeding/images`` finds ``Non Bleeding/Images``. Each name may have several parts.

    Raises:
        TableError: if two directories fit the same name, because one of them would be left out unseen.
    """
    for name in names:
        found = root
        for part in name.split("/"):
            if not found.is_dir():
                break
            same = sorted(path for path in found.iterdir() if path.is_dir() and _plain(path.name) == _plain(part))
            if len(same) > 1:
                raise TableError(f"{found}: '{same[0].name}' and '{same[1].name}' both fit '{part}'. Remove one.")
            if not same:
                break
            found = same[0]
        else:
            return found
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def numbers(name: str) -> tuple[int, ...]:
    """The whole numbers in a file's name without its suffix: ``(12,)`` for ``img- (12).png``."""
    return tuple(int(found) for found in re.findall(r"\d+", Path(name).stem))


def paired_masks(paths: Sequence[Path], folder: Path) -> list[str]:
    """The mask of each image: the file in ``folder`` of the same stem, else of the same numbers.

    So ``ann- (12).png`` belongs to ``img- (12).png``, and ``…_00003_seg_70.png`` to ``…_00003_flair_70.png``.

    Returns:
        Paths of the masks, in the order of ``paths``.

    Raises:
        TableError: if an image has no mask, or several masks bear its numbers; lists the images.
    """
    same_name = by_stem(images(folder))
    by_numbers: dict[tuple[int, ...], list[Path]] = {}
    for mask in same_name.values():
        by_numbers.setdefault(numbers(mask.name), []).append(mask)
    found, problems = [], []
    for path in paths:
        key = numbers(path.name)
        fitting = by_numbers.get(key, []) if key else []
        fitting = [same_name[path.stem]] if path.stem in same_name else fitting
        if len(fitting) != 1:
            problems.append(f"{path.name} ({len(fitting)} masks)")
        found.append(str(fitting[0]) if fitting else "")
    if problems:
        raise TableError(
            f"{folder}: {len(problems)} images have not exactly one mask there: {some(problems)}. "
            "Name each mask as its image, or with the same numbers."
        )
    return found


def carve_validation(table: pd.DataFrame, normal: Collection[str], share: float, seed: int) -> pd.DataFrame:
    """Move whole groups from ``train`` to ``val``, where a publisher gives train and test alone; a new table.

    Groups that hold an abnormal image and groups that do not are dealt apart, each by a seeded shuffle of the sorted
    group names, so that both classes of ``train`` are in ``val`` in nearly the same proportion. At least one group of
    each kind stays in ``train`` and, where there are two or more, at least one goes to ``val``. Test is left alone.

    Args:
        table: Columns ``label``, ``group`` and ``split``.
        normal: The labels that count as normal.
        share: Share of the training groups that becomes ``val``; above 0 and below 1.
        seed: Seed of the shuffle.
    """
    if not 0 < share < 1:
        raise TableError(f"The share of train that becomes val must be above 0 and below 1, not {share}.")
    table = tidied(table, normal)
    rng = np.random.default_rng(seed)
    train = table[table["split"] == "train"]
    has_abnormal = (~is_normal(train["label"], normal)).groupby(train["group"]).any()
    moved: set[str] = set()
    for kind in (False, True):
        groups = sorted(has_abnormal.index[has_abnormal == kind])
        rng.shuffle(groups)
        if len(groups) > 1:
            moved.update(groups[: min(max(round(share * len(groups)), 1), len(groups) - 1)])
    into_val = (table["split"] == "train") & table["group"].isin(moved)
    return table.assign(split=table["split"].mask(into_val, "val"))


def deal_groups(table: pd.DataFrame, fractions: Sequence[float], seed: int) -> pd.DataFrame:
    """Deal all groups into train, val and test whatever their classes; a new table with ``split``.

    For sets where nearly every patient has both classes: there :func:`~medanomaly.data.table.split_by_group`, which
    keeps groups with abnormal images out of train, would leave nothing to train on. The largest groups are dealt
    first, each to the part that is furthest below its share of images, so that a few large patients do not upset the
    shares; groups of one size come in a seeded order.

    Args:
        table: Column ``group``.
        fractions: Shares of train, val and test; positive, and together 1.
        seed: Seed of the order.
    """
    shares = np.asarray(fractions, dtype=float)
    if len(shares) != len(SPLITS) or (shares <= 0).any() or not np.isclose(shares.sum(), 1):
        raise TableError(f"Split fractions must be three positive numbers with sum 1, not {list(fractions)}.")
    table = tidied(table)
    sizes = table.groupby("group").size()
    names = np.random.default_rng(seed).permutation(sorted(sizes.index))
    dealt = np.zeros(len(SPLITS))
    split_of: dict[str, str] = {}
    for name in sorted(names, key=lambda group: -int(sizes[group])):
        part = int(np.argmin(dealt / shares))
        split_of[str(name)] = SPLITS[part]
        dealt[part] += int(sizes[name])
    return table.assign(split=table["group"].astype(str).map(split_of))
