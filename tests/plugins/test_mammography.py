"""Mammography on small trees in the layouts of the RSNA screening set and mini-MIAS."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError
from medanomaly.imaging import ImageError, decode, decode_mask

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def by(table, *columns):
    return table.groupby(list(columns)).size().to_dict()


def whole(table):
    """Whether no group lies in two splits."""
    return bool((table.groupby("group")["split"].nunique() == 1).all())


# --- Mammography: RSNA

HEAD = (
    "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
    "difficult_negative_case"
)


def write_dicom(path, photometric="MONOCHROME2"):
    """A mammogram's header as the screening set has it, 12 bits stored in 16; the picture is a ramp."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"  # Digital Mammography X-Ray Image, for presentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.Modality, film.PhotometricInterpretation = "MG", photometric
    film.Rows, film.Columns, film.SamplesPerPixel = 16, 16, 1
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = (np.arange(256, dtype=np.uint16) * 16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, film)


def rsna_tree(root, patients=30, suffix=".dcm"):
    lines = [HEAD]
    for patient in range(1, patients + 1):
        for number, (side, view) in enumerate((("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))):
            cancer = int(patient % 5 == 0 and side == "L")
            image = patient * 10 + number
            lines.append(f"1,{patient},{image},{side},{view},61.0,{cancer},{cancer},0,,0,,{patient % 3},False")
            path = root / "train_images" / str(patient) / f"{image}{suffix}"
            if suffix == ".dcm":
                write_dicom(path, "MONOCHROME1" if patient % 2 else "MONOCHROME2")
            else:
                write_image(path, GREY)
    (root / "train.csv").write_text("\n".join(lines) + "\n")
    return root


def test_rsna_table(tmp_path):
    table = data.Mammography(root=rsna_tree(tmp_path)).table
    assert by(table, "label") == {"cancer": 12, "normal": 108}
    assert whole(table)
    assert by(table, "laterality", "view") == {(s, v): 30 for s in "LR" for v in ("CC", "MLO")}
    assert set(table.loc[table["label"] == "cancer", "laterality"]) == {"L"}
    assert (table.groupby("group").size() == 4).all()
    assert set(table["machine"]) == {"0", "1", "2"}
    # A woman with cancer in one breast is in val or test with both.
    assert not set(table.query("label == 'cancer'")["group"]) & set(table.query("split == 'train'")["group"])
    assert set(data.Mammography(root=tmp_path, views=["CC"]).table["view"]) == {"CC"}


def test_rsna_films_reach_batches(tmp_path):
    root = rsna_tree(tmp_path, 10)
    try:
        decode(root / "train_images" / "1" / "10.dcm")
    except ImageError as error:
        pytest.skip(f"medanomaly.imaging does not read DICOM here: {error}")
    module = data.Mammography(root=root, image_size=16, intensity="minmax", field_of_view="none")
    module.setup()
    table, dataset = module.table.query("split == 'test'"), module.test_data
    for i, patient in enumerate(table["patient"]):
        film = dataset.__getitems__([i]).image[0, 0].flatten()
        ramp = np.linspace(1, 0, 256) if int(patient) % 2 else np.linspace(0, 1, 256)  # MONOCHROME1: low is white
        np.testing.assert_allclose(film.numpy(), ramp, atol=2**-11)


def test_the_breast_is_looked_for_on_screening_films_alone(tmp_path):
    rsna, mias = data.Mammography(root=rsna_tree(tmp_path / "r", 2)), data.Mammography(root=mias_tree(tmp_path / "m"))
    assert (rsna.reading.field_of_view, rsna.hparams["field_of_view"]) == ("breast", "breast")
    assert (mias.reading.field_of_view, mias.hparams["field_of_view"]) == ("none", "none")
    assert data.Mammography(root=tmp_path / "r", field_of_view="none").reading.field_of_view == "none"


def test_rsna_png_copies_are_found(tmp_path):
    module = data.Mammography(root=rsna_tree(tmp_path, 10, ".png"), image_size=8)
    module.setup()
    assert len(module.train_data) > 0


def test_rsna_errors_name_what_is_wrong(tmp_path):
    rsna_tree(tmp_path, 10, ".png")
    (tmp_path / "train_images" / "3" / "31.png").unlink()
    with pytest.raises(TableError, match=r"names 1 of 40 images .*3/31\.dcm"):
        _ = data.Mammography(root=tmp_path).table
    text = (tmp_path / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(text.replace("61.0,1,", "61.0,yes,"))
    with pytest.raises(TableError, match="'cancer' holds 'yes'"):
        _ = data.Mammography(root=tmp_path).table
    (tmp_path / "train.csv").write_text(text.replace("laterality,view", "side,view"))
    with pytest.raises(TableError, match=r"lacks the column\(s\) laterality"):
        _ = data.Mammography(root=tmp_path).table


# --- Mammography: mini-MIAS

INFO = """
mdb001 G CIRC B 500 900 100
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26
mdb059 F CIRC B
mdb216 D CALC M *NOTE 3*
"""


def mias_tree(root):
    root.mkdir(exist_ok=True)
    listed = [line for line in INFO.split("\n") if line]
    known = {line[:6] for line in listed}
    listed += [f"mdb{i:03d} D NORM" for i in range(1, 61) if f"mdb{i:03d}" not in known]
    names = sorted({line[:6] for line in listed})
    (root / "Info.txt").write_text("MIAS\n1st column: number\n" + "\n".join(sorted(listed)) + "\n")
    for name in names:
        write_image(root / f"{name}.pgm", np.full((256, 256), 7, np.uint8))
    return root


def test_mias_publisher_s_layout_with_women_and_circles(tmp_path):
    module = data.Mammography(root=mias_tree(tmp_path), image_size=64)
    table = module.table.assign(film=lambda t: t["image_path"].str[-10:-4]).set_index("film")
    assert by(table, "label") == {"calc": 1, "circ": 3, "normal": 57}
    assert whole(table)
    assert table.loc["mdb001", "group"] == table.loc["mdb002", "group"] != table.loc["mdb003", "group"]
    assert (table.loc["mdb001", "laterality"], table.loc["mdb002", "laterality"]) == ("R", "L")
    assert sorted(table.index[table["mask_path"] != ""]) == ["mdb001", "mdb005"]  # the others have no centre
    mask = decode_mask(table.loc["mdb001", "mask_path"])
    rows, columns = np.nonzero(mask)
    assert mask.shape == (256, 256)
    assert rows.mean() == pytest.approx((1024 - 900) / 4, abs=0.6)  # y counts from the bottom
    assert columns.mean() == pytest.approx(500 / 4, abs=0.6)
    assert mask.sum() == pytest.approx(np.pi * 25**2, rel=0.05)
    two = decode_mask(table.loc["mdb005", "mask_path"])
    assert two[round((1024 - 133) / 4), 477 // 4]
    assert two[round((1024 - 168) / 4), 500 // 4]


def test_mias_in_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    mias_tree(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", refuse)
        with pytest.raises(ImageError, match=r"circle_masks.*Permission denied.*empty folder"):
            _ = data.Mammography(root=tmp_path).table
    (tmp_path / "circle_masks").mkdir()
    assert not data.Mammography(root=tmp_path).has_masks


def test_mias_films_that_are_there_twice_are_refused(tmp_path):
    write_image(mias_tree(tmp_path) / "png" / "mdb003.png", GREY)
    with pytest.raises(TableError, match=r"mdb003.*have the same name"):
        _ = data.Mammography(root=tmp_path).table


def test_mias_missing_films_are_named(tmp_path):
    (mias_tree(tmp_path) / "mdb007.pgm").unlink()
    with pytest.raises(TableError, match=r"1 of 61 listed films are not there: mdb007"):
        _ = data.Mammography(root=tmp_path).table


def test_mammography_without_films(tmp_path):
    with pytest.raises(DataError, match="layout 'rsna'"):
        _ = data.Mammography(root=mias_tree(tmp_path), layout="rsna").table
