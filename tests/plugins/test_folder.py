"""``Folder``: masks, classes and patients of the layouts that people have; what does not fit is an error that lists it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

from medanomaly.data import Folder
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError
from medanomaly.imaging import several
from medanomaly.runs.run_record import data_section


def tree(root: Path, *names: str) -> Path:
    """Files that no test reads."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def normals(root: Path, number: int = 12) -> Path:
    return tree(root, *(f"normal/n{i:02d}.png" for i in range(number)))


def listed(root: Path, **options):
    """Path below ``root`` to label, group and masks."""
    module = Folder(root=root, **options)
    table = module.listed
    below = {}
    for row in table.itertuples():
        masks = [Path(mask).relative_to(root).as_posix() for mask in several(row.mask_path)]
        below[Path(row.image_path).relative_to(root).as_posix()] = (row.label, row.group, masks)
    assert len(below) == len(table)
    return below, module


def masks_of(root: Path, **options) -> dict[str, list[str]]:
    return {path: masks for path, (_, _, masks) in listed(root, **options)[0].items() if masks}


# Deals that were made before


TREES = {
    "flat": ([f"normal/{i:03d}.png" for i in range(40)] + [f"abnormal/{i:03d}.jpg" for i in range(20)], {}),
    "classes": (
        [f"normal/n{i}.png" for i in range(30)]
        + [f"abnormal/{c}/{c}{i}.png" for c in ("polyp", "ulcer", "bleeding") for i in range(7)],
        {},
    ),
    "pattern": (
        [f"normal/p{i:02d}_{k}.png" for i in range(12) for k in range(3)]
        + [f"abnormal/polyp/p{i:02d}_{k}.png" for i in range(20, 26) for k in range(2)],
        {"group_pattern": r"(p\d+)_"},
    ),
    "masks": (
        [f"normal/{i:03d}.png" for i in range(20)]
        + [f"{folder}/a{i:03d}.png" for folder in ("abnormal", "masks") for i in range(10)],
        {"mask_dir": "masks"},
    ),
    "deep": (
        [f"normal/site{s}/x/{i:03d}.png" for s in "AB" for i in range(15)]
        + [f"abnormal/polyp/site{s}/{i:03d}.png" for s in "AB" for i in range(6)],
        {},
    ),
    "seed": (
        [f"normal/{i:03d}.png" for i in range(40)] + [f"abnormal/c{i % 3}/{i:03d}.jpg" for i in range(20)],
        {"seed": 3, "fractions": (0.5, 0.25, 0.25)},
    ),
}
#: Of the rows that 3f535d0 listed.
DEALT = {
    "flat": "5f3620557fb8a417",
    "classes": "5141fb6a122e8761",
    "pattern": "27df360aa0c1ebe1",
    "masks": "efc42d12fb1a1d96",
    "deep": "a1252468f8789ef0",
    "seed": "8e05e24642e05a7b",
}


@pytest.mark.parametrize("name", TREES)
def test_simple_layouts_are_dealt_as_before(tmp_path, name):
    files, options = TREES[name]
    table = Folder(root=tree(tmp_path, *files), **options).listed
    rows = [
        "\t".join([os.path.relpath(r.image_path, tmp_path), r.label, r.group, r.split, r.mask_path and os.path.relpath(r.mask_path, tmp_path)])
        for r in table.itertuples()
    ]  # fmt: skip
    assert hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16] == DEALT[name]


# Masks in a directory of their own

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


# Directories


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


def test_directories_inside_each_other(tmp_path):
    tree(
        tmp_path,
        *(f"n{i}.png" for i in range(12)),
        *(f"bad/{i}.png" for i in range(4)),
        *(f"bad/m/{i}.png" for i in range(4)),
    )
    found, _ = listed(tmp_path, normal_dir=".", abnormal_dir="bad", mask_dir="bad/m")
    assert sorted(label for label, _, _ in found.values()) == ["abnormal"] * 4 + ["normal"] * 12
    with pytest.raises(TableError, match="must differ"):
        listed(tmp_path, normal_dir="bad", abnormal_dir="bad")


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({"mask_dir": "mask"}, "masks"),
        ({"mask_dir": "abnormal/mask"}, "abnormal/masks"),
        ({"abnormal_dir": "anormal"}, "abnormal"),
        ({"abnormal_dir": "polyps"}, "abnormal/polyp"),
        ({"normal_dir": "normals"}, "normal"),
    ],
)
def test_a_directory_that_is_not_there_is_an_error_with_the_nearest(tmp_path, options, close):
    tree(normals(tmp_path), "abnormal/polyp/1.png", "masks/1.png", "abnormal/masks/1.png")
    ((option, name),) = options.items()
    with pytest.raises(DataError) as error:
        listed(tmp_path, **options)
    assert f"has no directory '{name}' ({option}); the nearest is '" in str(error.value)
    assert close.rsplit("/", 1)[-1] in str(error.value).split("the nearest is")[1].split("'")[1]


def test_a_directory_of_masks_without_any_is_an_error(tmp_path):
    tree(normals(tmp_path), "abnormal/1.png", "masks/notes.txt")
    with pytest.raises(DataError, match="has no mask in 'masks'"):
        listed(tmp_path, mask_dir="masks")


def test_case_and_blanks_of_a_directory_make_no_difference(tmp_path):
    tree(tmp_path, *(f"Normal/{i}.png" for i in range(12)), *(f"Abnormal/{i}.png" for i in range(4)))
    tree(tmp_path, *(f"Ground Truth/{i}.png" for i in range(4)))
    assert len(masks_of(tmp_path, mask_dir="ground_truth")) == 4


def test_classes_beside_normal_are_not_lost_in_silence(tmp_path, caplog):
    tree(normals(tmp_path), "polyp/1.png", "ulcer/1.png", "ulcer/2.png", "docs/notes.txt")
    with caplog.at_level(logging.WARNING):
        _, module = listed(tmp_path)
    said = "2 other directories hold images and are not used"
    assert any(said in note for note in module.notes)
    assert "polyp (1 images), ulcer (2 images)" in caplog.text
    caplog.clear()
    _, module = listed(tmp_path, abnormal_dir=None)
    assert not any(said in note for note in module.notes)


# Masks beside images


def busi(root: Path) -> Path:
    for kind, place in (("benign", "abnormal/benign"), ("malignant", "abnormal/malignant"), ("normal", "normal")):
        for i in range(1, 9):
            tree(root, f"{place}/{kind} ({i}).png", f"{place}/{kind} ({i})_mask.png")
    return tree(root, "abnormal/benign/benign (4)_mask_1.png", "abnormal/benign/benign (4)_mask_2.png")


def test_busi(tmp_path):
    found, module = listed(busi(tmp_path))
    assert len(found) == 24
    assert not any("mask" in path for path in found)
    four = "abnormal/benign/benign (4)"
    assert found[f"{four}.png"] == (
        "benign",
        f"{four}.png",
        [f"{four}_mask.png", f"{four}_mask_1.png", f"{four}_mask_2.png"],
    )
    assert all(bool(masks) == (label != "normal") for label, _, masks in found.values())
    assert any(
        "16 abnormal images have 18 masks; 8 masks of normal images are not used." in note for note in module.notes
    )


@pytest.mark.parametrize("form", ["{}_mask", "{}_seg", "mask_{}", "{}-gt", "{}_segmentation", "{}.label"])
def test_masks_beside_their_images(tmp_path, form):
    names = ["a", "b7", "scan c"]
    tree(normals(tmp_path), *(f"abnormal/{name}.png" for name in names))
    tree(tmp_path, *(f"abnormal/{form.format(name)}.png" for name in names))
    assert masks_of(tmp_path) == {f"abnormal/{name}.png": [f"abnormal/{form.format(name)}.png"] for name in names}


def test_busi_as_it_is_published(tmp_path):
    busi(tmp_path / "all")
    for name in ("abnormal/benign", "abnormal/malignant", "normal"):
        (tmp_path / "all" / name).rename(tmp_path / name.rsplit("/")[-1])
    (tmp_path / "all" / "abnormal").rmdir()
    found, _ = listed(tmp_path, abnormal_dir=".")
    labels = [label for label, _, _ in found.values()]
    assert (labels.count("normal"), labels.count("benign"), labels.count("malignant")) == (8, 8, 8)


def test_a_mask_beside_without_image_is_no_image(tmp_path):
    busi(tmp_path)
    (tmp_path / "normal" / "normal (3).png").unlink()
    (tmp_path / "abnormal" / "malignant" / "malignant (2)_mask.png").unlink()
    with pytest.raises(TableError) as error:
        listed(tmp_path)
    assert "1 masks fit no image: normal/normal (3)_mask.png" in str(error.value)
    assert "1 of 16 abnormal images have no mask: abnormal/malignant/malignant (2).png" in str(error.value)


@pytest.mark.parametrize("names", [["mask 1", "mask 2"], ["label_1", "2"], ["a_lesion", "a"], ["gt1", "gt2", "x"]])
def test_images_that_are_called_so_stay_images(tmp_path, names):
    tree(normals(tmp_path), *(f"abnormal/{name}.png" for name in names))
    assert sum(path.startswith("abnormal") for path in listed(tmp_path)[0]) == len(names)


def test_every_file_is_an_image_where_that_is_said(tmp_path):
    busi(tmp_path)
    assert len(listed(tmp_path, masks="none")[0]) == 50
    with pytest.raises(ValueError, match="masks: none"):
        Folder(root=tmp_path, masks="none", mask_dir="m")
    with pytest.raises(ValueError, match="masks must be one of auto, partial, none"):
        Folder(root=tmp_path, masks="all")


# Classes and patients


def mvtec(root: Path) -> Path:
    tree(root, *(f"train/good/{i:03d}.png" for i in range(20)), *(f"test/good/{i:03d}.png" for i in range(5)))
    for kind in ("bent", "cut"):
        tree(
            root,
            *(f"test/{kind}/{i:03d}.png" for i in range(6)),
            *(f"ground_truth/{kind}/{i:03d}_mask.png" for i in range(6)),
        )
    return root


def test_mvtec(tmp_path):
    found, module = listed(mvtec(tmp_path), normal_dir="train/good", abnormal_dir="test", mask_dir="ground_truth")
    assert sorted({label for label, _, _ in found.values()}) == ["bent", "cut", "normal"]
    assert sum(label == "normal" for label, _, _ in found.values()) == 25
    assert found["test/good/003.png"][2] == []
    assert found["test/cut/003.png"][2] == ["ground_truth/cut/003_mask.png"]
    assert any("5 images in 'test' count as normal" in note for note in module.notes)


@pytest.mark.parametrize("good", ["good", "Good", "normal", "NORMAL", "ok", "healthy"])
def test_normal_images_among_the_abnormal_ones(tmp_path, good):
    tree(
        normals(tmp_path),
        *(f"abnormal/{good}/g{i}.png" for i in range(4)),
        *(f"abnormal/ill/{i}.png" for i in range(4)),
    )
    labels = [label for label, _, _ in listed(tmp_path)[0].values()]
    assert (labels.count("normal"), labels.count("ill")) == (16, 4)


def test_a_further_normal_class_keeps_its_name(tmp_path):
    tree(
        normals(tmp_path), *(f"abnormal/Benign/{i}.png" for i in range(4)), *(f"abnormal/ill/{i}.png" for i in range(4))
    )
    labels = [label for label, _, _ in listed(tmp_path, normal=["normal", "benign"])[0].values()]
    assert (labels.count("benign"), labels.count("ill")) == (4, 4)


FOLDERS = {
    "numbered": ([f"P{i:03d}" for i in range(12)], 3, True),
    "numbered, many images": ([f"P{i:03d}" for i in range(24)], 40, True),
    "one digit": ([f"P{i}" for i in range(8)], 2, True),
    "with a word": (["patient1", "patient2", "patient3"], 9, True),
    "identifiers": ([f"1.2.840.{i * 7919}" for i in range(8)], 2, True),
    "names": ([f"{a}{b}" for a in ("smith", "jones", "li") for b in ("-a", "-b", "-c", "-d", "-e")], 2, True),
    "classes": (["polyp", "ulcer", "bleeding"], 3, False),
    "grades": ([f"grade{i}" for i in range(5)], 4, False),
    "digits": (list("123456789"), 3, False),
    "more classes": (["bent", "cable", "cut", "poke", "missing", "scratch", "dent", "fold"], 12, False),
    "few of one number": (["T10", "T20", "T30"], 4, False),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_patients_are_groups_and_that_is_said(tmp_path, name):
    folders, each, patients = FOLDERS[name]
    tree(normals(tmp_path), *(f"abnormal/{folder}/{i}.png" for folder in folders for i in range(each)))
    found, module = listed(tmp_path)
    ill = {path: row for path, row in found.items() if path.startswith("abnormal")}
    assert {label for label, _, _ in ill.values()} == ({"abnormal"} if patients else set(folders))
    assert {group for _, group, _ in ill.values()} == (set(folders) if patients else set(ill))
    assert any("taken for patients" in note for note in module.notes) == patients
    assert len({label for label, _, _ in listed(tmp_path, subfolders="class")[0].values()}) == len(folders) + 1
    assert {label for label, _, _ in listed(tmp_path, subfolders="group")[0].values()} == {"normal", "abnormal"}
    assert (module.listed.groupby("group")["split"].nunique() == 1).all()


def test_patients_inside_classes_and_among_the_normal_images(tmp_path):
    tree(tmp_path, *(f"normal/P{i:03d}/{k}.png" for i in range(20) for k in range(3)))
    tree(
        tmp_path,
        *(
            f"abnormal/{c}/P{i:03d}/{k}.png"
            for n, c in enumerate(("polyp", "ulcer"))
            for i in range(30 + 9 * n, 38 + 9 * n)
            for k in range(2)
        ),
    )
    found, module = listed(tmp_path)
    assert found["normal/P003/1.png"] == ("normal", "P003", [])
    assert found["abnormal/ulcer/P040/1.png"] == ("ulcer", "P040", [])
    assert module.groups_known


def test_a_patient_in_both_directories_stays_together(tmp_path):
    tree(
        tmp_path,
        *(f"{kind}/P{i:03d}/{kind}{k}.png" for kind in ("normal", "abnormal") for i in range(8) for k in range(2)),
    )
    tree(tmp_path, *(f"normal/P{i:03d}/n.png" for i in range(8, 20)))
    _, module = listed(tmp_path)
    assert (module.listed.groupby("group")["split"].nunique() == 1).all()
    assert module.listed["group"].nunique() == 20


def test_where_every_patient_is_ill_the_error_says_so(tmp_path):
    tree(tmp_path, *(f"{kind}/P{i:03d}/{kind}.png" for kind in ("normal", "abnormal") for i in range(8)))
    with pytest.raises(TableError, match="no normal image is left to train on"):
        listed(tmp_path)


def test_a_pattern_goes_before_folders(tmp_path):
    tree(normals(tmp_path), *(f"abnormal/P{i:03d}/n{50 + i // 2:02d}.png" for i in range(12)))
    found, _ = listed(tmp_path, group_pattern=r"/n(\d+)\.")
    assert {label for label, _, _ in found.values()} == {"normal", "abnormal"}
    assert found["abnormal/P003/n51.png"][1] == "51"


@pytest.mark.parametrize(("options", "known"), [({}, False), ({"group_pattern": r"(\d+)\."}, True)])
def test_whether_patients_are_known_is_what_the_user_said(tmp_path, options, known):
    tree(normals(tmp_path), *(f"abnormal/a{i}5.png" for i in range(4)))
    module = Folder(root=tmp_path, **options)
    assert module.groups_known is known
    assert data_section(module)["groups_known"] is known


# Files


def test_files_of_the_system_are_no_images(tmp_path):
    tree(normals(tmp_path), "normal/._n01.png", "normal/.ipynb_checkpoints/n01-checkpoint.png", "normal/Thumbs.db")
    tree(
        tmp_path,
        "abnormal/polyp/1.png",
        "abnormal/@eaDir/1.png",
        "abnormal/.ipynb_checkpoints/1.png",
        "abnormal/polyp/2.png",
    )
    found, _ = listed(tmp_path)
    assert len(found) == 14
    assert {label for label, _, _ in found.values()} == {"normal", "polyp"}


def test_folders_behind_links_are_read_once(tmp_path, caplog):
    normals(tmp_path)
    tree(tmp_path, *(f"site2/s{i}.png" for i in range(6)))
    for name in ("site2", "again"):
        (tmp_path / "normal" / name).symlink_to(tmp_path / "site2")
    (tmp_path / "normal" / "loop").symlink_to(tmp_path / "normal")
    with caplog.at_level(logging.INFO):
        found, _ = listed(tmp_path, abnormal_dir=None)
    assert len(found) == 18
    assert "1 link to what was found already, 1 link that leads back" in caplog.text
    tree(tmp_path, "abnormal/a.png")
    (tmp_path / "abnormal" / "n01.png").symlink_to(tmp_path / "normal" / "n01.png")
    with pytest.raises(TableError, match="normal and abnormal at once, through links"):
        listed(tmp_path)


def test_dicom_without_suffix_and_frames_of_one_file(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "normal" / "study").mkdir(parents=True)
    for i in range(10):
        name = f"IM{i:06d}" if i % 2 else f"CT.1.2.840.{i}"
        write_dicom(tmp_path / "normal" / "study" / name, rng.integers(0, 4096, (8, 8), np.uint16), 12)
    write_dicom(tmp_path / "normal" / "cine", rng.integers(0, 4096, (3, 8, 8), np.uint16), 12, NumberOfFrames=3)
    for name in ("a", "b"):
        pages = [rng.integers(0, 255, (8, 8), np.uint8) for _ in range(4)]
        for folder, frames in (("abnormal", pages), ("masks", [(page > 99).astype(np.uint8) * 255 for page in pages])):
            (tmp_path / folder).mkdir(exist_ok=True)
            assert cv2.imwritemulti(str(tmp_path / folder / f"{name}.tif"), frames)
    module = Folder(root=tmp_path, image_size=8, mask_dir="masks")
    table = module.listed
    assert len(table) == 10 + 3 + 8
    cine = table[table["image_path"].str.contains("cine")]
    assert [path.rsplit("#")[1] for path in cine["image_path"]] == ["frame=1", "frame=2", "frame=3"]
    assert set(cine["group"]) == {"normal/cine"}
    assert not module.groups_known
    row = table[table["image_path"].str.endswith("b.tif#frame=2")].iloc[0]
    assert row["mask_path"].endswith("masks/b.tif#frame=2")
    from medanomaly.data.check_data import check

    assert check(module).ok


def test_a_mask_with_other_frames_is_refused(tmp_path):
    pages = [np.zeros((8, 8), np.uint8)] * 3
    normals(tmp_path)
    (tmp_path / "abnormal").mkdir()
    assert cv2.imwritemulti(str(tmp_path / "abnormal" / "a.tif"), pages)
    write_image(tmp_path / "abnormal" / "a_mask.png", pages[0])
    with pytest.raises(TableError, match="has 3 frames, and its mask .* has 1"):
        listed(tmp_path)


def test_training_on_folders_as_they_are_sent(tmp_path):
    """Files of the system, masks beside images, patients in folders, and a file of several frames: trained and tested."""
    from tests.training.test_run import command

    rng = np.random.default_rng(0)
    for i in range(12):
        write_image(tmp_path / "normal" / f"P{i:03d}" / "1.png", rng.integers(0, 255, (16, 16, 3), np.uint8))
    pages = [rng.integers(0, 255, (16, 16), np.uint8) for _ in range(3)]
    assert cv2.imwritemulti(str(tmp_path / "normal" / "P000" / "2.tif"), pages)
    for i in range(20, 28):
        write_image(tmp_path / "abnormal" / f"P{i:03d}" / "1.png", rng.integers(0, 255, (16, 16, 3), np.uint8))
        for name in ("1_mask", "1_mask_1"):
            write_image(
                tmp_path / "abnormal" / f"P{i:03d}" / f"{name}.png", rng.integers(0, 2, (16, 16), np.uint8) * 255
            )
    tree(tmp_path, "normal/P001/._1.png", "abnormal/__MACOSX/P020/1.png")
    status = command(
        ["train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
         "--data", "Folder", "--data.init_args.root", str(tmp_path), "--data.init_args.image_size", "16",
         "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
         "--default_root_dir", str(tmp_path / "results")]
    )  # fmt: skip
    folder = (tmp_path / "results" / "Autoencoder" / "Folder" / "latest").resolve()
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["pixel"]["with_mask"] > 0
    assert evidence["data"]["groups_known"]
    assert sorted({row["label"] for row in evidence["data"]["counts"]}) == ["abnormal", "normal"]
    assert status == 0
