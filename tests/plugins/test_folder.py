"""``Folder``: the layouts that people have; what does not fit is an error that lists it."""

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
from tests.plugins.folder_trees import busi, listed, masks_of, normals, tree

from medanomaly.data import Folder
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError

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


# Directories


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


# Masks beside images, as BUSI has them


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


def test_busi_as_it_is_published(tmp_path):
    busi(tmp_path / "all")
    for name in ("abnormal/benign", "abnormal/malignant", "normal"):
        (tmp_path / "all" / name).rename(tmp_path / name.rsplit("/")[-1])
    (tmp_path / "all" / "abnormal").rmdir()
    found, _ = listed(tmp_path, abnormal_dir=".")
    labels = [label for label, _, _ in found.values()]
    assert (labels.count("normal"), labels.count("benign"), labels.count("malignant")) == (8, 8, 8)


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
