"""Capsule, malaria and chest plugins on small trees in their publishers' layouts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOUR = np.repeat(GREY[:, :, None], 3, axis=2)


def by(table, *columns):
    return table.groupby(list(columns)).size().to_dict()


def whole(table):
    """Whether no group lies in two splits."""
    return bool((table.groupby("group")["split"].nunique() == 1).all())


# --- WirelessCapsule


def capsule_tree(
    root, frames=300, bleeding="bleeding/Images", masks="bleeding/Annotations", healthy="non-bleeding/images"
):
    for i in range(1, frames + 1):
        write_image(root / bleeding / f"img- ({i}).png", COLOUR)
        write_image(root / healthy / f"img- ({i}).png", COLOUR)
        if masks:
            write_image(root / masks / f"ann- ({i}).png", GREY)
    return root


@pytest.mark.parametrize("top", ["", "WCEBleedGen/"])
def test_capsule_publisher_s_layout_with_blocks_and_masks(tmp_path, top):
    capsule_tree(tmp_path / top, frames=120)
    write_image(tmp_path / top / "non-bleeding" / "annotation" / "ann- (1).png", GREY)
    module = data.WirelessCapsule(root=tmp_path, image_size=8, group_frames=10)
    table = module.table
    assert by(table, "label") == {"bleeding": 120, "normal": 120}
    assert whole(table)
    assert table.loc[table["abnormal"], "split"].ne("train").all()
    for row in table[table["abnormal"]].itertuples():
        assert row.mask_path.endswith(row.image_path.rsplit("img", 1)[1])
        assert "Annotations" in row.mask_path
    assert (table.loc[~table["abnormal"], "mask_path"] == "").all()
    numbers = table["image_path"].str.extract(r"\((\d+)\)")[0].astype(int)
    assert ((numbers // 10).groupby(table["group"]).nunique() == 1).all()
    assert table["group"].nunique() == 26  # 0 to 12 for each class: frame 120 begins a block
    module.setup()
    assert module.test_data.__getitems__([0]).image.shape == (1, 3, 8, 8)


def test_capsule_masks_inside_the_folder_of_frames(tmp_path):
    capsule_tree(tmp_path, 60, bleeding="Bleeding", masks="Bleeding/Masks", healthy="Non Bleeding")
    table = data.WirelessCapsule(root=tmp_path, group_frames=5).table
    assert by(table, "label") == {"bleeding": 60, "normal": 60}
    assert (table.loc[table["abnormal"], "mask_path"] != "").all()


def test_capsule_without_masks(tmp_path):
    module = data.WirelessCapsule(root=capsule_tree(tmp_path, 60, masks=None), group_frames=5)
    assert not module.has_masks


def test_capsule_frame_without_mask_is_named(tmp_path):
    capsule_tree(tmp_path, 12)
    (tmp_path / "bleeding" / "Annotations" / "ann- (7).png").unlink()
    with pytest.raises(TableError, match=r"img- \(7\)\.png \(0 masks\)"):
        _ = data.WirelessCapsule(root=tmp_path).table


def test_capsule_frame_without_number_needs_a_decision(tmp_path):
    capsule_tree(tmp_path, 12, masks=None)
    write_image(tmp_path / "bleeding" / "Images" / "clot.png", COLOUR)
    with pytest.raises(TableError, match=r"clot\.png: has no frame number"):
        _ = data.WirelessCapsule(root=tmp_path).table
    assert data.WirelessCapsule(root=tmp_path, group_frames=1).table["group"].nunique() == 25


def test_capsule_unseen_split_needs_its_file(tmp_path):
    with pytest.raises(DataError, match=r"split_unseen_capsule\.csv"):
        _ = data.WirelessCapsule(root=capsule_tree(tmp_path, 3), split="unseen_capsule").table
    with pytest.raises(ValueError, match="group_frames"):
        data.WirelessCapsule(root=tmp_path, group_frames=0)


# --- MalariaCells


@pytest.mark.parametrize(
    ("name", "slide", "patient"),
    [
        ("C100P61ThinF_IMG_20150918_144104_cell_162.png", "c100p61", "c100p61"),
        ("ParasitizedC99P60ThinF_IMG_20150918_141857_cell_54.png", "c99p60", "c99p60"),
        ("C1_thinF_IMG_20150604_104722_cell_123.png", "c1_", "c1"),
        ("C47P8thin_Original_Motic_IMG_20150714_093030_cell_5.png", "c47p8thin_original_motic", "c47p8"),
        ("C47P8thinOriginalOlympusCX21_IMG_20150714_094948_cell_9.png", "c47p8thinoriginalolympuscx21", "c47p8"),
        ("C12NThinF_IMG_20150614_124212_cell_200.png", "c12n", "c12n"),
    ],
)
def test_malaria_names(name, slide, patient):
    from medanomaly_malaria_cells.file_names import patient_of, slide_of

    assert (slide_of(f"x/{name}"), patient_of(name)) == (slide, patient)


def malaria_tree(root, patients=20):
    for patient in range(patients):
        for cell in range(4):
            name = f"C{patient}P{patient + 50}ThinF_IMG_20150918_144104_cell_{cell}.png"
            write_image(root / "Parasitized" / name, COLOUR)
            write_image(root / "Uninfected" / name, COLOUR)
    (root / "Parasitized" / "Thumbs.db").write_bytes(b"x")
    return root


@pytest.mark.parametrize("top", ["", "cell_images"])
def test_malaria_publisher_s_layout_keeps_patients_together(tmp_path, top):
    malaria_tree(tmp_path / top)
    if top:  # the mirror's archive holds everything a second time, one level deeper
        malaria_tree(tmp_path / top / "cell_images", 3)
    module = data.MalariaCells(root=tmp_path, image_size=8)
    table = module.table
    assert by(table, "label") == {"normal": 80, "parasitized": 80}
    assert whole(table)
    assert table["patient"].nunique() == 20
    assert by(table[~table["abnormal"]], "split") == {"test": 16, "train": 48, "val": 16}
    module.setup()
    assert len(module.train_data) == 48


def test_malaria_two_microscopes_are_one_patient(tmp_path):
    malaria_tree(tmp_path)
    for name in ("C47P8thin_Original_Motic_IMG_1_cell_1.png", "C47P8thinOriginalOlympusCX21_IMG_1_cell_1.png"):
        write_image(tmp_path / "Uninfected" / name, COLOUR)
    assert len(data.MalariaCells(root=tmp_path).table.query("group == 'c47p8'")) == 2


def test_malaria_unknown_names_are_refused(tmp_path):
    write_image(malaria_tree(tmp_path, 5) / "Uninfected" / "cell1.png", COLOUR)
    with pytest.raises(TableError, match=r"cell1\.png.*patient is not known"):
        _ = data.MalariaCells(root=tmp_path).table


def test_malaria_one_folder_alone_is_not_enough(tmp_path):
    write_image(tmp_path / "Uninfected" / "C1P1ThinF_IMG_1_cell_1.png", COLOUR)
    with pytest.raises(DataError, match="Parasitized"):
        _ = data.MalariaCells(root=tmp_path).table


# --- ChestXray: NIH

HEAD = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def nih_tree(root, patients=30, lists=True):
    lines, train, test = [HEAD], [], []
    for patient in range(1, patients + 1):
        for visit, finding in enumerate(("No Finding", "Effusion|Mass", "Infiltration", "Effusion")):
            if visit == 3 and patient % 3:
                continue
            name = f"{patient:08d}_{visit:03d}.png"
            view = "AP" if visit % 2 else "PA"
            lines.append(f"{name},{finding},{visit},{patient},058Y,{'FM'[patient % 2]},{view},2682,2749,0.143,0.143,")
            write_image(root / f"images_{patient % 3 + 1:03d}" / "images" / name, GREY)
            (test if patient > patients * 2 // 3 else train).append(name)
    (root / "Data_Entry_2017.csv").write_text("\n".join(lines) + "\n")
    if lists:
        (root / "train_val_list.txt").write_text("\n".join(train) + "\n")
        (root / "test_list.txt").write_text("\n".join(test))
    return root


def test_nih_official_test_and_validation_by_patient(tmp_path):
    module = data.ChestXray(root=nih_tree(tmp_path), image_size=8, val_share=0.2)
    table = module.table
    assert by(table, "label") == {"Effusion": 40, "normal": 30}
    assert whole(table)
    official = set((tmp_path / "test_list.txt").read_text().split())
    names = table["image_path"].str.rsplit("/", n=1).str[1]
    assert set(names[table["split"] == "test"]) == {n for n in official if not n.endswith("_002.png")}
    assert table.loc[table["split"] == "val", "patient"].nunique() == 4
    assert by(table, "label", "view") == {("Effusion", "AP"): 40, ("normal", "PA"): 30}
    assert set(table["sex"]) == {"F", "M"}
    assert table.loc[table["patient"] == "3", "sex"].unique().tolist() == ["M"]
    assert module.reading.intensity == "minmax"


def test_nih_findings_views_and_other_rows(tmp_path):
    nih_tree(tmp_path)
    table = data.ChestXray(root=tmp_path, findings=["Mass", "Effusion", "Infiltration"]).table
    assert by(table, "label") == {"Effusion": 10, "Effusion|Mass": 30, "Infiltration": 30, "normal": 30}
    assert set(data.ChestXray(root=tmp_path, views=["PA"], findings="Infiltration").table["view"]) == {"PA"}


def test_nih_without_lists_is_dealt_by_patient(tmp_path):
    table = data.ChestXray(root=nih_tree(tmp_path, lists=False)).table
    assert whole(table)
    assert set(table["split"]) == {"train", "val", "test"}


def test_nih_missing_images_and_columns_and_lists_are_named(tmp_path):
    nih_tree(tmp_path)
    with pytest.raises(TableError, match="unknown finding.*Efusion"):
        _ = data.ChestXray(root=tmp_path, findings="Efusion").table
    gone = next(tmp_path.rglob("00000004_001.png"))
    gone.unlink()
    with pytest.raises(TableError, match=r"names 1 of 70 wanted images.*00000004_001\.png"):
        _ = data.ChestXray(root=tmp_path).table
    write_image(gone, GREY)
    (tmp_path / "test_list.txt").write_text("00000030_000.png\n")
    with pytest.raises(TableError, match=r"in neither of"):
        _ = data.ChestXray(root=tmp_path).table
    (tmp_path / "test_list.txt").unlink()
    with pytest.raises(TableError, match="has one of"):
        _ = data.ChestXray(root=tmp_path).table
    (tmp_path / "Data_Entry_2017.csv").write_text("Image Index,Patient ID\na.png,1\n")
    with pytest.raises(TableError, match=r"lacks the column\(s\) Finding Labels"):
        _ = data.ChestXray(root=tmp_path).table


# --- ChestXray: Kermany and two folders


def kermany_tree(root):
    for part, persons in (("train", 40), ("test", 10), ("val", 4)):
        for person in range(1, persons + 1):
            for shot in range(2):
                write_image(root / part / "PNEUMONIA" / f"person{person}_bacteria_{person * 10 + shot}.jpeg", GREY)
            write_image(root / part / "NORMAL" / f"NORMAL2-IM-{person + len(part) * 100:04d}-0001.jpeg", GREY)
    return root


@pytest.mark.parametrize("top", ["", "chest_xray"])
def test_kermany_keeps_the_official_test_and_redraws_validation_by_person(tmp_path, top):
    kermany_tree(tmp_path / top)
    table = data.ChestXray(root=tmp_path, val_share=0.25).table
    assert whole(table)
    in_test = table["split"] == "test"
    assert in_test.equals(table["image_path"].str.contains("/test/"))
    assert by(table[in_test], "label") == {"normal": 10, "pneumonia": 20}
    # person1 of test is somebody else than person1 of train and val
    assert set(table.loc[in_test, "group"].str.split("-").str[0]) == {"test"}
    ones = table[table["image_path"].str.contains("/person1_")]
    assert set(ones["group"]) == {"train-person1", "test-person1"}
    assert len(ones.query("group == 'train-person1'")) == 4  # two of train, two of the official val
    assert table.query("split == 'val' and abnormal")["group"].nunique() == 10


def test_kermany_unknown_names_are_refused(tmp_path):
    write_image(kermany_tree(tmp_path) / "train" / "NORMAL" / "scan.jpeg", GREY)
    with pytest.raises(TableError, match=r"scan\.jpeg.*person is not"):
        _ = data.ChestXray(root=tmp_path).table


@pytest.mark.parametrize("healthy", ["nofinding", "No_Finding"])
def test_two_folders_by_patient(tmp_path, healthy):
    for patient in range(1, 41):
        for visit in range(2):
            kind = "effusion" if visit and patient % 2 else healthy
            write_image(tmp_path / kind / f"{patient:08d}_{visit:03d}.png", GREY)
    table = data.ChestXray(root=tmp_path).table
    assert by(table, "label") == {"Effusion": 20, "normal": 60}
    assert whole(table)
    assert table["group"].nunique() == 40
    write_image(tmp_path / "effusion" / "film.png", GREY)
    with pytest.raises(TableError, match=r"film\.png.*patient is not known"):
        _ = data.ChestXray(root=tmp_path).table


def test_a_layout_that_is_asked_for_and_not_there(tmp_path):
    kermany_tree(tmp_path)
    with pytest.raises(DataError, match="layout 'nih'"):
        _ = data.ChestXray(root=tmp_path, layout="nih").table
    with pytest.raises(ValueError, match="layout must be one of"):
        data.ChestXray(layout="nhi")
