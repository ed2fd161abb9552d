"""The sample table's checks and splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image

from medanomaly.data.table import TableError, check, complete, counts, digest, read_csv

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


def test_digest_ignores_order_and_sees_a_moved_image():
    one = table(GOOD)
    assert digest(one) == digest(one.sample(frac=1, random_state=0))
    moved = one.copy()
    moved.loc[0, "split"] = "test"
    assert digest(one) != digest(moved)


def test_counts():
    assert {"split": "test", "label": "bleeding", "normal": False, "images": 1, "groups": 1} in counts(table(GOOD))
