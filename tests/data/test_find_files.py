"""Finding images, folders and masks."""

from __future__ import annotations

import pytest

from medanomaly.data.find_files import directory, images, paired_masks
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
