"""Data plugins on the real images that MEDANOMALY_DATA points to, and a training epoch from each configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medanomaly.data as data
from medanomaly.imaging import decode_mask

CONFIGS = Path(__file__).parents[2] / "configs"

pytestmark = pytest.mark.real

SPLIT_FILES = {
    "WirelessCapsule": "wce_bleeding",
    "MalariaCells": "malaria_cells",
    "ChestXray": "cxr_pneumonia",
    "Mammography": "mias",
}


@pytest.mark.parametrize("name", SPLIT_FILES)
def test_the_published_protocol_is_kept(real_data, name):
    root = real_data / SPLIT_FILES[name]
    listed = pd.read_csv(root / "split.csv", dtype=str, keep_default_na=False)
    table = getattr(data, name)(root=root).table
    relative = [Path(path).relative_to(root).as_posix() for path in table["image_path"]]
    found = table.assign(path=relative)[["path", "label", "group", "split"]].sort_values("path")
    wanted = listed[["path", "label", "group", "split"]].sort_values("path")
    np.testing.assert_array_equal(found.to_numpy(str), wanted.to_numpy(str))
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert (table["mask_path"] != "").sum() == (listed["mask"] != "").sum()


def test_every_malaria_slide_is_read_from_its_name(real_data):
    from medanomaly_malaria_cells.file_names import patient_of, slide_of

    listed = pd.read_csv(real_data / "malaria_cells" / "split.csv", dtype=str)
    assert listed["path"].map(slide_of).equals(listed["group"])
    # Two slides of one patient, taken with two microscopes: the only ones that a patient's name joins.
    slides = listed["group"].groupby(listed["path"].map(patient_of)).unique()
    joined = slides[slides.map(len) > 1]
    assert {patient: sorted(names) for patient, names in joined.items()} == {
        "c47p8": ["c47p8thin_original_motic", "c47p8thinoriginalolympuscx21"]
    }


def test_every_chest_person_is_read_from_its_name(real_data):
    from medanomaly_chest_xray.folders import person_of

    listed = pd.read_csv(real_data / "cxr_pneumonia" / "split.csv", dtype=str)
    part = listed["path"].str.split("/").str[0]
    assert (part + "-" + listed["path"].map(person_of)).equals(listed["group"])


def test_mias_from_its_list_is_the_table_with_kinds(real_data):
    root = real_data / "mias"
    listed = data.Mammography(root=root, layout="mias").table.set_index("image_path")
    table = data.Mammography(root=root).table.set_index("image_path").loc[listed.index]
    assert listed["abnormal"].equals(table["abnormal"])
    assert listed["group"].equals(table["group"])
    assert listed["mask_path"].equals(table["mask_path"])
    assert listed["laterality"].value_counts().to_dict() == {"L": 161, "R": 161}


def test_mias_circles_are_drawn_where_the_given_masks_are(real_data):
    from medanomaly_mammography.mias import circle_mask, read_films

    drawn = {name: film for name, film in read_films(real_data / "mias").items() if film.circles}
    overlaps = []
    for name, film in drawn.items():
        given = decode_mask(real_data / "mias" / "circle_masks" / f"{name}.png")
        ours = circle_mask(film, (given.shape[0], given.shape[1]))
        overlaps.append((ours & given).sum() / (ours | given).sum())
    assert len(overlaps) == 111
    assert np.median(overlaps) > 0.9
    assert min(overlaps) > 0.5  # the smallest circle has a radius of one pixel here


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_has_its_published_numbers(real_data, name):
    table = data.MedMnist(root=real_data / name, name=name, normal=["3"]).table
    assert table["split"].value_counts().to_dict() == {"train": 54000, "test": 10000, "val": 6000}
    assert (~table["abnormal"]).sum() == (7141 if name == "mnist" else 7000)


def test_kermany_folders_without_a_table(real_data, tmp_path):
    """The same files under the publisher's folder names, as links: nothing is copied."""
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for kind, ours in (("NORMAL", "normal"), ("PNEUMONIA", "abnormal")):
            (tmp_path / part / kind).symlink_to(real_data / "cxr_pneumonia" / part / ours)
    table = data.ChestXray(root=tmp_path).table
    assert (table.groupby("group")["split"].nunique() == 1).all()
    assert len(table) == 2465
    test = table[table["split"] == "test"]
    assert test["label"].value_counts().to_dict() == {"pneumonia": 390, "normal": 234}


TRAINED = {
    "ae_wce": "wce_bleeding",
    "ae_malaria": "malaria_cells",
    "ae_chest_xray": "cxr_pneumonia",
    "ae_mias": "mias",
    "ae_mnist": "mnist",
    "ae_pneumoniamnist": "pneumoniamnist",
    "ae_study_mnist": "mnist",
    "ae_study_pneumoniamnist": "pneumoniamnist",
    "aae_pneumoniamnist": "pneumoniamnist",
    "perceptual_pneumoniamnist": "pneumoniamnist",
    "vae_pneumoniamnist": "pneumoniamnist",
    "classifier_pneumoniamnist": "pneumoniamnist",
}


@pytest.mark.slow
@pytest.mark.parametrize("config", TRAINED)
def test_one_epoch_from_each_configuration(real_data, tmp_path, config):
    from medanomaly.training.command_line import run

    status = run(
        [
            "train",
            "--config", str(CONFIGS / f"{config}.yaml"),
            "--data.init_args.root", str(real_data / TRAINED[config]),
            "--trainer.max_epochs", "1",
            "--trainer.check_val_every_n_epoch", "1",
            "--trainer.enable_progress_bar", "false",
            "--default_root_dir", str(tmp_path),
        ]
    )  # fmt: skip
    assert status == 0
    assert len(list(tmp_path.rglob("run.json"))) == 1
    assert list(tmp_path.rglob("*.ckpt"))
