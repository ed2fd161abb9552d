"""Which rows the model gets."""

from __future__ import annotations

import pandas as pd
import pytest

from medanomaly.data.split_selection import SplitSelection
from medanomaly.data.table import TableError


@pytest.fixture
def table():
    rows = [
        (f"{split}{i}", split, i % 2 == 1) for split, n in (("train", 40), ("val", 6), ("test", 6)) for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["image_path", "split", "abnormal"])
    return table.assign(label=table["abnormal"].map({True: "ill", False: "normal"}))


def test_training_uses_normals_or_labelled_images(table):
    assert not SplitSelection().rows(table, "train")["abnormal"].any()
    assert SplitSelection(training="labelled").rows(table, "train")["abnormal"].sum() == 20
    assert SplitSelection(validation="normal").rows(table, "val")["abnormal"].sum() == 0
    assert len(SplitSelection(training="normal", validation="normal").rows(table, "test")) == 6


def test_contamination_is_a_seeded_share_passed_off_as_normal(table):
    one, again, other = (SplitSelection(contamination=0.2, seed=seed).rows(table, "train") for seed in (0, 0, 1))
    assert len(one) == 25
    assert (one["label"] == "ill").mean() == 0.2
    assert not one["abnormal"].any()
    pd.testing.assert_frame_equal(one, again)
    assert set(one["image_path"]) != set(other["image_path"])


@pytest.mark.parametrize(
    ("options", "named"),
    [({"training": "all"}, "training"), ({"validation": "x"}, "validation"), ({"contamination": 0.7}, "0.5"),
     ({"contamination": 0.1, "training": "labelled"}, "training: normal")],
)  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        SplitSelection(**options)


def test_too_few_abnormal_images_to_contaminate(table):
    few = table[(table["split"] != "train") | ~table["abnormal"]]
    with pytest.raises(TableError, match="needs 5 abnormal training images, and train has 0"):
        SplitSelection(contamination=0.2).rows(few, "train")
