"""The sample table's checks and splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image

from medanomaly.data.table import TableError, check, complete, counts, digest, read_csv, split_by_group

NORMAL = ["normal"]


def table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return complete(pd.DataFrame(rows, columns=["image_path", "label", "split", "group"]), NORMAL)


GOOD = [
    ("a.png", "normal", "train", "p1"),
    ("b.png", "normal", "val", "p2"),
    ("c.png", "normal", "test", "p3"),
    ("d.png", "bleeding", "test", "p3"),
]


def test_a_good_table_passes():
    check(table(GOOD), NORMAL)


def test_groups_in_two_splits_are_listed():
    with pytest.raises(TableError, match=r"1 groups.*p1 \(test, train\)"):
        check(table([*GOOD, ("e.png", "normal", "test", "p1")]), NORMAL)


def test_everything_wrong_is_in_one_error():
    rows = [("a.png", "sick", "train", "p1"), ("a.png", "sick", "holdout", "p2")]
    with pytest.raises(TableError) as error:
        check(table(rows), NORMAL)
    text = str(error.value)
    for part in (
        "holdout",
        "more than once: a.png",
        "no normal image is in train",
        "labels found: sick",
        "in val",
        "in test",
    ):
        assert part in text


def test_csv_with_a_column_missing_names_it(tmp_path):
    (tmp_path / "split.csv").write_text("path,split\na.png,train\n")
    with pytest.raises(TableError, match=r"lacks the column\(s\) label, group. It has: path, split"):
        read_csv(tmp_path, "split.csv")


def test_csv_lists_missing_and_outside_files(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "split.csv").write_text(
        "path,label,group,split,mask\na.png,normal,1,train,\n../x.png,normal,2,val,\nb.png,bad,3,test,m.png\n"
    )
    with pytest.raises(TableError) as error:
        read_csv(tmp_path, "split.csv")
    assert all(
        part in str(error.value) for part in ("../x.png", "outside", "b.png: no such file", "m.png: no such file")
    )


def random_table(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 60, 400)
    sick = rng.random(60) < 0.4
    label = np.where(sick[group] & (rng.random(400) < 0.6), "sick", "normal")
    return pd.DataFrame({"image_path": [f"{i}.png" for i in range(400)], "label": label, "group": group.astype(str)})


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


def test_fractions_must_make_one():
    with pytest.raises(TableError, match="sum 1"):
        split_by_group(random_table(0), NORMAL, (0.5, 0.2, 0.2), 0)


def test_digest_ignores_order_and_sees_a_moved_image():
    one = table(GOOD)
    assert digest(one) == digest(one.sample(frac=1, random_state=0))
    moved = one.copy()
    moved.loc[0, "split"] = "test"
    assert digest(one) != digest(moved)


def test_counts():
    assert {"split": "test", "label": "bleeding", "normal": False, "images": 1, "groups": 1} in counts(table(GOOD))
