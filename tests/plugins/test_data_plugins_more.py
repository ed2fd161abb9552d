"""MedIAnomaly and MedMnist on small trees in their publishers' layouts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError
from medanomaly.imaging import ImageError

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def by(table, *columns):
    return table.groupby(list(columns)).size().to_dict()


def whole(table):
    """Whether no group lies in two splits."""
    return bool((table.groupby("group")["split"].nunique() == 1).all())


# --- MedIAnomaly


def json_tree(root, folder="images"):
    names = {"train": [f"n{i}.png" for i in range(40)], "0": [f"t{i}.png" for i in range(8)]}
    names["1"] = [f"a{i}.png" for i in range(8)]
    names["mixed"] = [f"u{i}.png" for i in range(8)]
    for name in [name for part in names.values() for name in part]:
        write_image(root / folder / name, GREY)
    listed = {
        "train": {"0": names["train"], "unlabeled": {"0": names["mixed"][:4], "1": names["mixed"][4:]}},
        "test": {"0": names["0"], "1": names["1"]},
    }
    (root / "data.json").write_text(json.dumps(listed))
    return root


@pytest.mark.parametrize(
    ("name", "folder"),
    [("rsna", "RSNA"), ("vincxr", "VinDr-CXR"), ("vincxr", "VinCXR"), ("brain_tumor", "BrainTumor"), ("lag", "")],
)
def test_medianomaly_json_keeps_the_published_test(tmp_path, name, folder):
    json_tree(tmp_path / folder)
    module = data.MedIAnomaly(root=tmp_path, name=name, val_share=0.25, image_size=8)
    table = module.table
    assert by(table, "split", "label") == {
        ("test", "abnormal"): 8, ("test", "normal"): 8, ("train", "normal"): 30, ("val", "normal"): 10,
    }  # fmt: skip
    assert not table["image_path"].str.contains("/u").any()
    assert table.loc[table["split"] == "test", "image_path"].str.contains(r"/[ta]\d+\.png").all()
    module.setup()


def test_medianomaly_json_errors(tmp_path):
    json_tree(tmp_path)
    (tmp_path / "images" / "a3.png").unlink()
    with pytest.raises(TableError, match=r"names 1 images .*a3\.png"):
        _ = data.MedIAnomaly(root=tmp_path).table
    (tmp_path / "data.json").write_text(json.dumps({"train": {"0": ["../../x.png"]}, "test": {"0": [], "1": []}}))
    with pytest.raises(TableError, match="outside"):
        _ = data.MedIAnomaly(root=tmp_path).table
    for text in ("{", "[]", '{"train": {"0": [1]}, "test": {"0": [], "1": []}}', '{"train": {"0": []}}'):
        (tmp_path / "data.json").write_text(text)
        with pytest.raises(TableError, match="is not of the form"):
            _ = data.MedIAnomaly(root=tmp_path).table


def test_medianomaly_brats_folders_with_masks_and_patients(tmp_path, caplog):
    for case in range(20):
        for slice_ in (70, 75):
            write_image(tmp_path / "train" / f"BraTS2021_{case:05d}_flair_{slice_}.png", GREY)
    for case in range(20, 26):
        write_image(tmp_path / "test" / "normal" / f"BraTS2021_{case:05d}_flair_20.png", GREY)
        for slice_ in (70, 75):
            write_image(tmp_path / "test" / "tumor" / f"BraTS2021_{case:05d}_flair_{slice_}.png", GREY)
            write_image(tmp_path / "test" / "annotation" / f"BraTS2021_{case:05d}_seg_{slice_}.png", GREY)
    table = data.MedIAnomaly(root=tmp_path, name="brats2021", val_share=0.2).table
    assert by(table, "split", "label") == {
        ("test", "abnormal"): 12, ("test", "normal"): 6, ("train", "normal"): 32, ("val", "normal"): 8,
    }  # fmt: skip
    assert whole(table)
    assert table["patient"].nunique() == 26
    for row in table[table["abnormal"]].itertuples():
        assert row.mask_path.rsplit("/", 1)[1] == row.image_path.rsplit("/", 1)[1].replace("flair", "seg")
    assert not caplog.records
    write_image(tmp_path / "train" / "BraTS2021_00025_flair_75.png", GREY)
    _ = data.MedIAnomaly(root=tmp_path, name="brats2021").table
    assert "1 patients are in more than one part" in caplog.text


def test_medianomaly_camelyon_folders(tmp_path):
    for folder, n in (("train/good", 20), ("test/good", 4), ("test/Ungood", 5)):
        for i in range(n):
            write_image(tmp_path / "Camelyon16" / folder / f"{folder[:2]}{i}.png", GREY)
    table = data.MedIAnomaly(root=tmp_path, name="camelyon16").table
    assert by(table[table["split"] == "test"], "label") == {"abnormal": 5, "normal": 4}
    assert len(table) == 29


def test_medianomaly_isic_tables(tmp_path):
    for part, n in (("Training", 12), ("Validation", 6), ("Test", 6)):
        stem = tmp_path / f"ISIC2018_Task3_{part}"
        lines = ["image,MEL,NV,BCC"]
        for i in range(n):
            lines.append(f"ISIC_{part}{i},{i % 3 == 0:d}.0,{i % 3 == 1:d}.0,{i % 3 == 2:d}.0")
            write_image(tmp_path / f"{stem.name}_Input" / f"ISIC_{part}{i}.jpg", GREY)
        truth = tmp_path / f"{stem.name}_GroundTruth" / f"{stem.name}_GroundTruth.csv"
        truth.parent.mkdir()
        truth.write_text("\n".join(lines) + "\n")
    module = data.MedIAnomaly(root=tmp_path, name="isic2018", image_size=8)
    assert by(module.table, "split", "label") == {
        (split, label): n // 3
        for split, n in (("train", 12), ("val", 6), ("test", 6))
        for label in ("MEL", "NV", "BCC")
    }
    assert (module.table["abnormal"] == (module.table["label"] != "NV")).all()
    module.setup()
    assert len(module.train_data) == 4
    truth.write_text("image,MEL,NV\nISIC_Test0,1.0,1.0\n")
    with pytest.raises(TableError, match="a single 1.0 in each row"):
        _ = data.MedIAnomaly(root=tmp_path, name="isic2018").table


def test_medianomaly_without_a_known_layout(tmp_path):
    with pytest.raises(DataError, match="neither data.json"):
        _ = data.MedIAnomaly(root=tmp_path).table
    with pytest.raises(ValueError, match="name must be one of"):
        data.MedIAnomaly(name="brats")


# --- MedMnist


def npz(path, labels, shape=(28, 28)):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((len(labels), *shape), np.uint8)
        arrays[f"{split}_labels"] = np.asarray(labels, np.uint8)
    np.savez(path, **arrays)


def test_medmnist_labels_are_the_publisher_s():
    info = pytest.importorskip("medmnist.info").INFO
    from medanomaly_medmnist.labels import LABELS

    flat = {name: entry for name, entry in info.items() if not name.endswith("3d")}
    published = {name: tuple(e["label"][str(i)] for i in range(len(e["label"]))) for name, e in flat.items()}
    assert published == LABELS


@pytest.mark.parametrize("size", [28, 64, 128, 224])
def test_medmnist_sizes_and_healthy_class(tmp_path, size):
    name = "breastmnist" if size == 28 else f"breastmnist_{size}"
    npz(tmp_path / f"{name}.npz", [[0], [1], [1]], (size, size))
    module = data.MedMnist(root=tmp_path, name=name)
    assert by(module.table, "label") == {"malignant": 3, "normal, benign": 6}
    module.setup()
    assert module.train_data.__getitems__([0]).image.shape == (1, 3, size, size)
    assert len(module.train_data) == 2


def test_medmnist_chest_labels_are_joined_findings(tmp_path):
    rows = np.zeros((4, 14), int)
    rows[1, 2] = rows[2, 0] = rows[2, 13] = 1
    npz(tmp_path / "chestmnist.npz", rows)
    table = data.MedMnist(root=tmp_path, name="chestmnist").table
    assert by(table, "label") == {"atelectasis|hernia": 3, "effusion": 3, "normal": 6}
    npz(tmp_path / "chestmnist.npz", rows[:, :13])
    with pytest.raises(ImageError, match="13 findings"):
        _ = data.MedMnist(root=tmp_path, name="chestmnist").table


def test_medmnist_colour_and_one_class_against_the_rest(tmp_path):
    npz(tmp_path / "bloodmnist.npz", [[6], [7], [0]], (28, 28, 3))
    table = data.MedMnist(root=tmp_path, name="bloodmnist", normal=["neutrophil", "platelet"]).table
    assert by(table, "abnormal") == {False: 6, True: 3}
    with pytest.raises(TableError, match="Name the normal classes"):
        _ = data.MedMnist(root=tmp_path, name="bloodmnist").table


def test_medmnist_refuses_volumes_and_unknown_classes(tmp_path):
    npz(tmp_path / "pneumoniamnist.npz", [[0], [1]], (28, 28, 28))
    with pytest.raises(ImageError, match="expected uint8"):
        _ = data.MedMnist(root=tmp_path).table
    npz(tmp_path / "pneumoniamnist.npz", [[0], [2]])
    with pytest.raises(ImageError, match="class 2"):
        _ = data.MedMnist(root=tmp_path).table
    with pytest.raises(ValueError, match="_64"):
        data.MedMnist(name="octmnist_32")


@pytest.mark.parametrize("name", ["ChestXray", "MalariaCells", "Mammography", "MedIAnomaly"])
def test_a_missing_or_empty_root_says_what_is_expected(tmp_path, name):
    for root, what in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "Expected there")):
        with pytest.raises(DataError, match=what) as error:
            _ = getattr(data, name)(root=root).table
        assert "http" in str(error.value)
