"""Deal whole groups (patients, videos) into train, val and test.

Three ways, for three kinds of data: :func:`split_by_group` for one-class training, :func:`deal_groups` where nearly
every group holds both classes, :func:`carve_validation` where a publisher gives train and test. Published splits hang
on these algorithms: a changed one makes other splits from the same seed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from medanomaly.data.required_cells import TableError, is_normal, tidied
from medanomaly.data.table import SPLITS


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

    Raises:
        TableError: for other fractions, or if a label or a group is missing (names the rows).
    """
    shares = _shares(fractions)
    table = tidied(table, normal)
    rng = np.random.default_rng(seed)
    abnormal = table[~is_normal(table["label"], normal)]
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


def deal_groups(table: pd.DataFrame, fractions: Sequence[float], seed: int) -> pd.DataFrame:
    """Deal all groups into train, val and test whatever their classes; a new table with ``split``.

    For sets where nearly every patient has both classes: there :func:`split_by_group`, which
    keeps groups with abnormal images out of train, would leave nothing to train on. The largest groups are dealt
    first, each to the part that is furthest below its share of images, so that a few large patients do not upset the
    shares; groups of one size come in a seeded order.

    Args:
        table: Column ``group``.
        fractions: Shares of train, val and test; positive, and together 1.
        seed: Seed of the order.

    Raises:
        TableError: for other fractions, or if a group is missing (names the rows).
    """
    shares = _shares(fractions)
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

    Raises:
        TableError: for another share, or if a label or a group is missing (names the rows).
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


def _shares(fractions: Sequence[float]) -> np.ndarray:
    """Fractions of train, val and test, checked: (3,) float64."""
    shares = np.asarray(fractions, dtype=float)
    if len(shares) != len(SPLITS) or (shares <= 0).any() or not np.isclose(shares.sum(), 1):
        raise TableError(f"Split fractions must be three positive numbers with sum 1, not {list(fractions)}.")
    return shares
