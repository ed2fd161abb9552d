"""Tables of publishers with cells that nobody filled: every plugin says which, and leaves no row out unseen."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import write_image
from tests.plugins.test_data_plugins import GREY, nih_tree
from tests.plugins.test_data_plugins_more import npz
from tests.plugins.test_mammography import mias_tree, rsna_tree

import medanomaly.data as data
from medanomaly.data.table import TableError
from medanomaly.imaging import ImageError

EMPTY = ["", " ", "nan", "NA"]


def emptied(path, line: int, column: int, cell: str):
    """Overwrite one cell; ``line`` counts from 1."""
    lines = path.read_text().split("\n")
    cells = lines[line - 1].split(",")
    cells[column] = cell
    lines[line - 1] = ",".join(cells)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("cell", EMPTY)
@pytest.mark.parametrize(("column", "name"), [(0, "Image Index"), (1, "Finding Labels"), (3, "Patient ID")])
def test_nih(tmp_path, column, name, cell):
    emptied(nih_tree(tmp_path) / "Data_Entry_2017.csv", 7, column, cell)
    with pytest.raises(TableError, match=rf"'{name}' is missing in 1 of 100 rows: line 7"):
        _ = data.ChestXray(root=tmp_path).table


def test_nih_views_matter_where_they_are_asked_for(tmp_path):
    emptied(nih_tree(tmp_path) / "Data_Entry_2017.csv", 7, 6, "")
    _ = data.ChestXray(root=tmp_path).table
    with pytest.raises(TableError, match=r"'View Position' is missing in 1 of 100 rows: line 7"):
        _ = data.ChestXray(root=tmp_path, views=["PA"]).table


def test_nih_no_finding_however_it_is_written(tmp_path):
    table = nih_tree(tmp_path) / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace("No Finding", "NO FINDING ", 5))
    assert (~data.ChestXray(root=tmp_path).table["abnormal"]).sum() == 30


@pytest.mark.parametrize("cell", EMPTY)
@pytest.mark.parametrize(("column", "name"), [(1, "patient_id"), (2, "image_id"), (6, "cancer")])
def test_rsna(tmp_path, column, name, cell):
    emptied(rsna_tree(tmp_path, 10) / "train.csv", 5, column, cell)
    with pytest.raises(TableError, match=rf"'{name}' is missing in 1 of 40 rows: line 5"):
        _ = data.Mammography(root=tmp_path).table


def test_rsna_views_matter_where_they_are_asked_for(tmp_path):
    emptied(rsna_tree(tmp_path, 10) / "train.csv", 5, 4, "")
    with pytest.raises(TableError, match=r"'view' is missing in 1 of 40 rows: line 5"):
        _ = data.Mammography(root=tmp_path, views=["CC"]).table


@pytest.mark.parametrize("line", ["mdb061", "mdb061 D", "mdb061 D  B 500 900 100"])
def test_mias_info_without_abnormality(tmp_path, line):
    info = mias_tree(tmp_path) / "Info.txt"
    info.write_text(info.read_text() + line + "\n")
    with pytest.raises(TableError, match=rf"1 films have no abnormality .*line \d+ '{line}'"):
        _ = data.Mammography(root=tmp_path).table


@pytest.mark.parametrize("cell", EMPTY)
def test_mias_labels_without_abnormality(tmp_path, cell):
    mias_tree(tmp_path)
    rows = [f"mdb{i:03d},{cell if i == 9 else ' NORM'},,," for i in range(1, 61)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,abnormality,x,y_from_bottom,radius", *rows]) + "\n")
    with pytest.raises(TableError, match=r"'abnormality' is missing in 1 of 60 rows: line 10 mdb009"):
        _ = data.Mammography(root=tmp_path).table


def isic_tree(root, rows):
    """The last row of the training table is given."""
    for part, number in (("Training", 8), ("Test", 8)):
        stem = f"ISIC2018_Task3_{part}"
        lines = [f"{part}{i},{i % 2}.0,{1 - i % 2}.0" for i in range(number)] + (rows if part == "Training" else [])
        for i in range(number + 1):
            write_image(root / f"{stem}_Input" / f"{part}{i}.jpg", GREY)
        (root / f"{stem}_GroundTruth").mkdir()
        (root / f"{stem}_GroundTruth" / f"{stem}_GroundTruth.csv").write_text(
            "\n".join(["image,MEL,NV", *lines]) + "\n"
        )
    return root


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (",0.0,1.0", r"'image' is missing in 1 of 9 rows: line 10"),
        ("nan,0.0,1.0", r"'image' is missing in 1 of 9 rows: line 10"),
        ("Training8,,", r"1 rows are not so: Training8"),
        ("Training8,,1.0", r"1 rows are not so: Training8"),
        ("Training8,NA,1.0", r"1 rows are not so: Training8"),
        ("Training8", r"1 rows are not so: Training8"),
    ],
)
def test_isic(tmp_path, row, says):
    with pytest.raises(TableError, match=says):
        _ = data.MedIAnomaly(root=isic_tree(tmp_path, [row]), name="isic2018").table


def test_isic_whole(tmp_path):
    assert len(data.MedIAnomaly(root=isic_tree(tmp_path, ["Training8,0.0,1.0"]), name="isic2018").table) == 17


@pytest.mark.parametrize(("name", "labels"), [
    ("pneumoniamnist", [[0.0], [np.nan], [1.0]]), ("pneumoniamnist", [[0], [-1], [1]]),
    ("chestmnist", [[0.0] * 14, [np.nan] * 14, [1.0] * 14]), ("chestmnist", [[0] * 14, [-1] * 14, [1] * 14]),
    ("unheardofmnist", [[0], [-1], [1]]),
])  # fmt: skip
def test_medmnist(tmp_path, name, labels):
    npz(tmp_path / f"{name}.npz", np.zeros((3, len(labels[0]))))
    with np.load(tmp_path / f"{name}.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / f"{name}.npz", **{**arrays, "val_labels": np.array(labels)})
    with pytest.raises(ImageError, match=r"label .* of image 1 is no class"):
        _ = data.MedMnist(root=tmp_path, name=name).table


def test_an_optional_bracket_makes_no_group_of_all(tmp_path):
    for i in range(12):
        write_image(tmp_path / "normal" / (f"p{i}_a.png" if i else "scan.png"), GREY)
    with pytest.raises(TableError, match=r"normal/scan\.png: group_pattern .* finds no group"):
        _ = data.Folder(root=tmp_path, group_pattern=r"scan|(p\d+)_").table


def test_a_folder_called_normal_in_capitals_holds_normal_images(tmp_path):
    for i in range(20):
        write_image(tmp_path / "normal" / f"{i}.png", GREY)
        write_image(tmp_path / "abnormal" / ("NORMAL" if i % 2 else "polyp") / f"{i}.png", GREY)
    table = data.Folder(root=tmp_path).table
    assert table.groupby("label").size().to_dict() == {"normal": 30, "polyp": 10}
    assert not table.loc[table["label"] == "normal", "abnormal"].any()
