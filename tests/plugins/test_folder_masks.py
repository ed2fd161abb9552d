"""``Folder``: which masks belong to which images; what does not fit is an error that lists it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.plugins.folder_trees import busi, listed, masks_of, normals, tree

from medanomaly.data import Folder
from medanomaly.data.table import TableError
from medanomaly.imaging import several

NAMES = [
    ("x", "x"),
    ("x", "x_mask"),
    ("x", "x-mask"),
    ("x", "x.mask"),
    ("x", "x mask"),
    ("x", "X_Mask"),
    ("x", "x_segmentation"),
    ("x", "x_seg"),
    ("x", "x_gt"),
    ("x", "x_label"),
    ("x", "x_Annotation"),
    ("x", "x_ground_truth"),
    ("x", "x_GroundTruth"),
    ("x", "x_lesion"),
    ("x", "mask_x"),
    ("x", "seg-x"),
    ("x", "x_mask_1"),
    ("x", "x_1"),
    ("x", "x_mask_left"),
    ("x_image", "x_mask"),
    ("x_img", "x"),
    ("img_x", "gt_x"),
    ("image3", "mask3"),
    ("image3", "mask03"),
    ("img- (3)", "ann- (3)"),
    ("3", "p3"),
    ("s7_00003_flair_70", "s7_00003_seg_70"),
    ("ISIC_0000003", "ISIC_0000003_segmentation"),
    ("benign (3)", "benign (3)_mask"),
    ("benign (3)", "benign (3)_mask_1"),
    ("frame_3", "frame_mask_3"),
    ("imgScan3", "imgScan3Mask"),
]


@pytest.mark.parametrize(("image", "mask"), NAMES)
def test_a_mask_is_known_by_its_name(tmp_path, image, mask):
    """Beside decoys that differ in one letter or number."""
    others = [(image.replace("x", "y").replace("3", "4"), mask.replace("x", "y").replace("3", "4").replace("X", "Y"))]
    names = [(image, mask), *others]
    tree(normals(tmp_path), *(f"abnormal/{i}.png" for i, _ in names), *(f"gt/{m}.tif" for _, m in names))
    assert masks_of(tmp_path, mask_dir="gt") == {f"abnormal/{i}.png": [f"gt/{m}.tif"] for i, m in names}


def test_an_image_may_have_several_masks(tmp_path):
    tree(normals(tmp_path), "abnormal/a.png", "abnormal/b.png", "abnormal/c1.png")
    tree(tmp_path, "m/a_mask.png", "m/a_mask_1.png", "m/a_mask_2.png", "m/b.png", "m/c1_1.png", "m/c1_2.png")
    assert masks_of(tmp_path, mask_dir="m") == {
        "abnormal/a.png": ["m/a_mask.png", "m/a_mask_1.png", "m/a_mask_2.png"],
        "abnormal/b.png": ["m/b.png"],
        "abnormal/c1.png": ["m/c1_1.png", "m/c1_2.png"],
    }


def test_several_masks_mark_what_any_of_them_marks(tmp_path):
    for i in range(12):
        write_image(tmp_path / "normal" / f"{i}.png", np.zeros((8, 8), np.uint8))
    left, right = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    left[:, :2], right[:4, 6:] = 255, 255
    for i in range(4):
        write_image(tmp_path / "abnormal" / f"a{i}.png", np.full((8, 8), 99, np.uint8))
        write_image(tmp_path / "abnormal" / f"a{i}_mask.png", left)
        write_image(tmp_path / "abnormal" / f"a{i}_mask_1.png", right)
    module = Folder(root=tmp_path, image_size=8, cache_dir=tmp_path / "kept", cache_mb=0)
    assert sorted(module.listed["label"].unique()) == ["abnormal", "normal"]
    test = module.subset("test")
    rows = [i for i, abnormal in enumerate(test.abnormal.tolist()) if abnormal]
    for mask in test.__getitems__(rows).gt_mask.numpy():
        np.testing.assert_array_equal(mask, (left | right) > 0)
    assert any((tmp_path / "kept").iterdir())  # a cell with several masks has a stamp
    from medanomaly.data.check_data import check
    from medanomaly.data.dataset_digest import content

    assert check(module).unreadable == []
    before = content(module)
    write_image(tmp_path / "abnormal" / "a0_mask_1.png", left)
    assert content(module) != before
    write_image(tmp_path / "abnormal" / "a1_mask_1.png", np.zeros((9, 8), np.uint8))
    ((_, reason),) = check(module).unreadable
    assert "a1_mask_1.png: is a mask of 8×9 pixels, and" in reason


def test_several_masks_in_a_csv(tmp_path):
    from medanomaly.data import Table

    lines = ["path,label,group,mask", *(f"n{i}.png,normal,{i}," for i in range(9))]
    lines += [f"a{i}.png,ill,a{i},m{i}.png|k{i}.png" for i in range(4)]
    tree(tmp_path, *(f"n{i}.png" for i in range(9)), *(f"{c}{i}.png" for c in "amk" for i in range(4)))
    (tmp_path / "split.csv").write_text("\n".join(lines))
    table = Table(root=tmp_path).listed
    cell = table.loc[table["group"] == "a1", "mask_path"].item()
    assert several(cell) == [str(tmp_path / "m1.png"), str(tmp_path / "k1.png")]
    (tmp_path / "k2.png").unlink()
    with pytest.raises(TableError, match=r"k2\.png: no such file"):
        _ = Table(root=tmp_path).listed


def test_classes_with_the_same_file_names_have_their_own_masks(tmp_path):
    images = [f"abnormal/{kind}/{i:03d}.png" for kind in ("crack", "dent") for i in range(4)]
    gt = [f"gt/{kind}/{i:03d}_mask.png" for kind in ("crack", "dent") for i in range(4)]
    tree(normals(tmp_path), *images, *gt)
    assert masks_of(tmp_path, mask_dir="gt") == {image: [mask] for image, mask in zip(images, gt, strict=True)}
    (tmp_path / "abnormal/crack/002.png").unlink()  # no mask of another class takes its place
    with pytest.raises(TableError, match=r"1 masks fit no image: gt/crack/002_mask\.png"):
        listed(tmp_path, mask_dir="gt")


def test_what_does_not_fit_is_all_listed(tmp_path):
    tree(normals(tmp_path), *(f"abnormal/a{i}.png" for i in range(5)), "abnormal/x/1.png", "abnormal/y/1.png")
    tree(tmp_path, "m/a0.png", "m/a1_mask.png", "m/zz.png", "m/1.png")
    with pytest.raises(TableError) as error:
        listed(tmp_path, mask_dir="m")
    text = str(error.value)
    assert "1 masks fit no image: m/zz.png" in text
    assert "m/1.png (abnormal/x/1.png, abnormal/y/1.png)" in text
    assert "5 of 7 abnormal images have no mask: abnormal/a2.png, abnormal/a3.png, abnormal/a4.png" in text
    assert "masks: partial" in text
    found, module = listed(tmp_path, mask_dir="m", masks="partial")
    assert [path for path, (_, _, masks) in found.items() if masks] == ["abnormal/a0.png", "abnormal/a1.png"]
    assert any("5 of 7 abnormal images have no mask" in note for note in module.notes)


def test_numbers_pair_no_mask_whose_kind_of_name_pairs_otherwise(tmp_path):
    tree(normals(tmp_path), "abnormal/polyp_3.png", "abnormal/ulcer_7.png", "m/polyp_3.png", "m/polyp_7.png")
    with pytest.raises(TableError, match=r"fit no image: m/polyp_7\.png"):
        listed(tmp_path, mask_dir="m")


def test_two_masks_of_the_same_numbers_alone_are_not_guessed(tmp_path):
    tree(normals(tmp_path), "abnormal/img1.png", "m/p1.png", "m/q1.png")
    with pytest.raises(TableError, match="2 masks fit several images, or share"):
        listed(tmp_path, mask_dir="m")


def test_masks_of_normal_images_are_not_used(tmp_path):
    tree(normals(tmp_path, 9), "abnormal/n03.png", "abnormal/b.png", "m/n03.png", "m/b.png", "m/n04.png")
    found, module = listed(tmp_path, mask_dir="m")
    assert {path for path, (_, _, masks) in found.items() if masks} == {"abnormal/n03.png", "abnormal/b.png"}
    assert "2 abnormal images have 2 masks; 1 masks of normal images are not used." in module.notes


@pytest.mark.parametrize("inner", ["abnormal/masks", "abnormal/polyp/masks", "normal/m", "abnormal/other"])
def test_masks_inside_a_directory_of_images_are_no_images(tmp_path, inner):
    tree(normals(tmp_path), *(f"abnormal/polyp/{i}.png" for i in range(5)), *(f"{inner}/{i}.png" for i in range(5)))
    found, _ = listed(tmp_path, mask_dir=inner)
    assert {label for label, _, _ in found.values()} == {"normal", "polyp"}
    assert found["abnormal/polyp/2.png"][2] == [f"{inner}/2.png"]
    assert len(found) == 17


@pytest.mark.parametrize("folder", ["masks", "mask", "Ground Truth", "annotations", "lesion_masks", "gt"])
def test_a_folder_called_as_masks_are_holds_masks(tmp_path, folder):
    tree(normals(tmp_path), *(f"abnormal/images/{i}.png" for i in range(5)))
    tree(tmp_path, *(f"abnormal/{folder}/{i}.png" for i in range(5)))
    found, _ = listed(tmp_path)
    assert found["abnormal/images/3.png"] == ("abnormal", "abnormal/images/3.png", [f"abnormal/{folder}/3.png"])
    assert len(found) == 17


@pytest.mark.parametrize("form", ["{}_mask", "{}_seg", "mask_{}", "{}-gt", "{}_segmentation", "{}.label"])
def test_masks_beside_their_images(tmp_path, form):
    names = ["a", "b7", "scan c"]
    tree(normals(tmp_path), *(f"abnormal/{name}.png" for name in names))
    tree(tmp_path, *(f"abnormal/{form.format(name)}.png" for name in names))
    assert masks_of(tmp_path) == {f"abnormal/{name}.png": [f"abnormal/{form.format(name)}.png"] for name in names}


def test_a_mask_beside_without_image_is_no_image(tmp_path):
    busi(tmp_path)
    (tmp_path / "normal" / "normal (3).png").unlink()
    (tmp_path / "abnormal" / "malignant" / "malignant (2)_mask.png").unlink()
    with pytest.raises(TableError) as error:
        listed(tmp_path)
    assert "1 masks fit no image: normal/normal (3)_mask.png" in str(error.value)
    assert "1 of 16 abnormal images have no mask: abnormal/malignant/malignant (2).png" in str(error.value)


def test_a_mask_with_other_frames_is_refused(tmp_path):
    pages = [np.zeros((8, 8), np.uint8)] * 3
    normals(tmp_path)
    (tmp_path / "abnormal").mkdir()
    assert cv2.imwritemulti(str(tmp_path / "abnormal" / "a.tif"), pages)
    write_image(tmp_path / "abnormal" / "a_mask.png", pages[0])
    with pytest.raises(TableError, match="has 3 frames, and its mask .* has 1"):
        listed(tmp_path)
