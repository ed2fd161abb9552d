"""Dealing groups into splits."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from medanomaly.data.splits import carve_validation, deal_groups, split_by_group
from medanomaly.data.table import TableError, check, complete

NORMAL = ["normal"]


def random_table(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 60, 400)
    sick = rng.random(60) < 0.4
    label = np.where(sick[group] & (rng.random(400) < 0.6), "sick", "normal")
    return pd.DataFrame({"image_path": [f"{i}.png" for i in range(400)], "label": label, "group": group.astype(str)})


#: What version 0.1.0 dealt: the published splits hang on it. Each is the digest of 400 rows' splits, in their order.
PUBLISHED = {
    0: ("3f53690d2abd7232", "0551dd576d30afbf", "7a5e92d08eea4803"),
    1: ("0a72e886d2d048de", "0e3d63f07923f757", "17aed580b2c29b9e"),
}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_published_splits_are_dealt_again(seed):
    samples, fractions = random_table(seed), ((0.6, 0.2, 0.2), (0.5, 0.25, 0.25))[seed]
    given = samples.assign(split=np.where(np.arange(400) % 7 == 0, "test", "train"))
    dealt = (
        split_by_group(samples, NORMAL, fractions, seed),
        deal_groups(samples, fractions, seed),
        carve_validation(given, NORMAL, 0.25, seed),
    )
    assert (
        tuple(hashlib.sha256("\n".join(table["split"]).encode()).hexdigest()[:16] for table in dealt) == PUBLISHED[seed]
    )


@pytest.mark.parametrize(
    ("dealer", "expected"),
    [
        (split_by_group, "val val test test test val val train test"),
        (deal_groups, "val test train train train val train train test"),
    ],
)
def test_a_small_set_is_dealt_as_ever(dealer, expected):
    labels = ["normal", "sick", "normal", "normal", "sick", "normal"] * 3
    samples = pd.DataFrame({"label": labels, "group": [f"p{row // 2}" for row in range(18)]})
    more = (NORMAL,) if dealer is split_by_group else ()
    assert list(dealer(samples, *more, (0.5, 0.25, 0.25), 1)["split"][::2]) == expected.split()


@pytest.mark.parametrize("seed", range(10))
def test_split_by_group_keeps_groups_and_repeats(seed):
    samples = random_table(seed)
    split = split_by_group(samples, NORMAL, (0.6, 0.2, 0.2), seed)
    full = complete(split, NORMAL)
    check(full, NORMAL)
    assert not full[(full["split"] == "train") & full["abnormal"]].size
    assert set(full.loc[full["abnormal"], "split"]) == {"val", "test"}
    pd.testing.assert_frame_equal(split, split_by_group(samples, NORMAL, (0.6, 0.2, 0.2), seed))
    assert (split["split"] != split_by_group(samples, NORMAL, (0.6, 0.2, 0.2), seed + 99)["split"]).any()


def test_every_abnormal_label_is_spread_over_val_and_test():
    labels = ["normal"] * 60 + ["rare"] * 4 + ["common"] * 40
    samples = pd.DataFrame({"label": labels, "group": [f"p{i}" for i in range(104)], "image_path": range(104)})
    for seed in range(20):
        split = split_by_group(samples, NORMAL, (0.6, 0.2, 0.2), seed)
        found = pd.crosstab(split["label"], split["split"])
        assert found.loc["normal"].to_dict() == {"train": 36, "val": 12, "test": 12}
        assert found.loc["rare", ["val", "test"]].tolist() == [2, 2]
        assert found.loc["common", ["val", "test"]].tolist() == [20, 20]


def table_of(groups, split="train"):
    rows = [(label, f"g{i:03d}", split) for i, labels in enumerate(groups) for label in labels]
    return pd.DataFrame(rows, columns=["label", "group", "split"])


def test_validation_is_carved_from_train_by_group_with_both_classes():
    train = table_of([["normal"] * 2] * 40 + [["normal", "ill"]] * 20)
    test = table_of([["normal"], ["ill"]], "test").assign(group=["t1", "t2"])
    carved = carve_validation(pd.concat([train, test], ignore_index=True), ["normal"], 0.25, seed=3)
    assert (carved.groupby("group")["split"].nunique() == 1).all()
    per_kind = carved.groupby([carved["group"] < "g040", "split"])["group"].nunique()
    assert per_kind[True]["val"] == 10
    assert per_kind[False]["val"] == 5
    assert list(carved["split"][-2:]) == ["test", "test"]
    again = carve_validation(pd.concat([train, test], ignore_index=True), ["normal"], 0.25, seed=4)
    assert not carved["split"].equals(again["split"])


def test_one_group_of_a_kind_stays_in_train():
    carved = carve_validation(table_of([["normal"]] * 2 + [["ill"]]), ["normal"], 0.9, seed=0)
    assert sorted(carved["split"]) == ["train", "train", "val"]
    assert carved["split"].iloc[2] == "train"


def test_groups_are_dealt_by_images_not_by_number():
    groups = [["normal", "ill"] * 100] + [["normal", "ill"]] * 100
    dealt = deal_groups(table_of(groups), (0.6, 0.2, 0.2), seed=1)
    assert (dealt.groupby("group")["split"].nunique() == 1).all()
    shares = dealt["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.6, abs=0.02)
    assert shares["val"] == pytest.approx(0.2, abs=0.02)
    assert not dealt["split"].equals(deal_groups(table_of(groups), (0.6, 0.2, 0.2), seed=2)["split"])


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_shares_outside_the_open_interval_are_refused(share):
    with pytest.raises(TableError, match="share of train"):
        carve_validation(table_of([["normal"]]), ["normal"], share, seed=0)


@pytest.mark.parametrize(
    "fractions", [(0.6, 0.2, 0.3), (0.5, 0.2, 0.2), (0.5, 0.5), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)]
)
def test_fractions_are_three_positive_numbers_that_make_one(fractions):
    with pytest.raises(TableError, match="sum 1"):
        deal_groups(table_of([["normal"]]), fractions, seed=0)
    with pytest.raises(TableError, match="sum 1"):
        split_by_group(random_table(0), NORMAL, fractions, seed=0)
