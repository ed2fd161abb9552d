"""Finding folders and masks, and dealing groups."""

from __future__ import annotations

import pandas as pd
import pytest

from medanomaly.data.find_files import carve_validation, deal_groups, directory, images, paired_masks
from medanomaly.data.table import TableError


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_images_are_found_at_any_depth_and_other_files_are_not(tmp_path):
    touch(tmp_path / "b" / "2.PNG", tmp_path / "a.jpg", tmp_path / "Thumbs.db", tmp_path / "b" / "list.txt")
    assert [path.name for path in images(tmp_path)] == ["a.jpg", "2.PNG"]


def test_a_directory_is_found_whatever_its_case_blanks_and_hyphens(tmp_path):
    (tmp_path / "Non Bleeding" / "Images").mkdir(parents=True)
    assert directory(tmp_path, ("absent", "non-bleeding/images")) == tmp_path / "Non Bleeding" / "Images"
    assert directory(tmp_path, ("non-bleeding/masks", "bleeding")) is None


def test_two_directories_of_one_name_are_refused(tmp_path):
    (tmp_path / "non-bleeding").mkdir()
    (tmp_path / "non_bleeding").mkdir()
    with pytest.raises(TableError, match="both fit"):
        directory(tmp_path, ("nonbleeding",))


def test_masks_are_paired_by_name_before_numbers(tmp_path):
    frames = [tmp_path / "img- (1).png", tmp_path / "img- (2).png", tmp_path / "s7_00003_flair_70.png"]
    masks = tmp_path / "m"
    touch(masks / "ann- (1).png", masks / "img- (2).png", masks / "ann- (2).png", masks / "s7_00003_seg_70.png")
    touch(masks / "s7_00004_seg_70.png")
    found = [path.rsplit("/", 1)[1] for path in paired_masks(frames, masks)]
    assert found == ["ann- (1).png", "img- (2).png", "s7_00003_seg_70.png"]


def test_images_without_exactly_one_mask_are_all_named(tmp_path):
    touch(tmp_path / "ann1.png", tmp_path / "box1.png")
    with pytest.raises(TableError, match=r"2 images .*img1\.png \(2 masks\), img2\.png \(0 masks\)"):
        paired_masks([tmp_path / "x" / "img1.png", tmp_path / "x" / "img2.png"], tmp_path)


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


def test_fractions_must_sum_to_one():
    with pytest.raises(TableError, match="sum 1"):
        deal_groups(table_of([["normal"]]), (0.6, 0.2, 0.3), seed=0)
