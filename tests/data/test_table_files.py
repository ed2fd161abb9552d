"""Files that a table names, and columns that it calls as the toolkit calls its own."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

import medanomaly.data as data
from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.table import TableError, complete
from medanomaly.imaging import Preprocessing
from medanomaly.runs.run_record import data_section

RNG = np.random.default_rng(0)
SPLITS = ("train", "val", "test")


def stack(path: Path, number: int, size: int = 16) -> Path:
    """A TIFF of several pages, each of its own noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwritemulti(str(path), [RNG.integers(0, 255, (size, size), dtype=np.uint8) for _ in range(number)])
    return path


def table_of(root: Path, paths: list[str], groups: list[str] | None = None, **columns) -> data.Table:
    """A third of the rows in each split, the last of each abnormal but in train."""
    rows = {"path": paths, "label": ["normal"] * len(paths), "group": groups or [f"p{i}" for i in range(len(paths))]}
    rows["split"] = [SPLITS[i * 3 // len(paths)] for i in range(len(paths))]
    for i in range(1, len(paths)):
        if rows["split"][i] != "train" and (i + 1 == len(paths) or rows["split"][i] != rows["split"][i + 1]):
            rows["label"][i] = "sick"
    pd.DataFrame({**rows, **columns}).to_csv(root / "split.csv", index=False)
    return data.Table(root=root, image_size=16)


def test_pages_of_a_stack_are_images(tmp_path):
    for name in "abc":
        stack(tmp_path / "s" / f"{name}.tif", 3)
    stack(tmp_path / "masks.tif", 2)
    paths = [f"s/{name}.tif#frame={page}" for name in "abc" for page in (1, 2, 3)]
    masks = ["" if i != 8 else "masks.tif#frame=2" for i in range(9)]
    module = table_of(tmp_path, paths, [path[2] for path in paths], mask=masks)
    module.setup()
    assert module.notes == []
    batch = module.val_data.__getitems__([1])
    expected = Preprocessing((16, 16)).load(tmp_path / "s" / "b.tif#frame=2")
    np.testing.assert_array_equal(batch.image[0].permute(1, 2, 0).numpy(), expected)
    assert module.test_data.__getitems__([2]).gt_mask.any()


def test_frames_of_a_dicom_file_are_images(tmp_path):
    for name in "abc":
        pixels = RNG.integers(0, 4000, (4, 16, 16), dtype=np.uint16)
        write_dicom(tmp_path / f"{name}.dcm", pixels, 12, NumberOfFrames=4)
    module = table_of(tmp_path, [f"{name}.dcm#frame={n}" for name in "abc" for n in (1, 4)], list("aabbcc"))
    module.setup()
    assert len(module.train_data) == 2
    assert not torch_equal(module.train_data.__getitems__([0, 1]).image)


def torch_equal(images) -> bool:
    return bool((images[0] == images[1]).all())


def test_frames_of_one_file_in_two_splits_are_told(tmp_path):
    stack(tmp_path / "stack.tif", 6)
    module = table_of(tmp_path, [f"stack.tif#frame={page}" for page in range(1, 7)])
    assert len(module.table) == 6
    assert any("more than one split, of 1 file(s): stack.tif" in note for note in module.notes)


@pytest.mark.parametrize("other", ["a.tif#frame=1", "./a.tif", "x/../a.tif", "a.tif#frame=01"])
def test_one_picture_under_two_addresses_is_listed_twice(other):
    rows = [("a.tif", "normal", "train", "p"), (other, "normal", "test", "q")]
    table = complete(pd.DataFrame(rows, columns=["image_path", "label", "split", "group"]), ["normal"])
    from medanomaly.data.table import check

    with pytest.raises(TableError, match="1 images are listed more than once"):
        check(table, ["normal"])


@pytest.mark.parametrize("path", ["stack.tif#frame=1", "none.tif", "no/such.dcm#frame=2", "x\\y.png", "C:\\a\\b.png"])
def test_a_file_that_is_not_there_is_named(tmp_path, path):
    with pytest.raises(TableError, match="split.csv names files that cannot be used") as error:
        _ = table_of(tmp_path, [path] * 3).table
    assert f"{path}: " in str(error.value)
    assert ("Windows" in str(error.value)) == path.startswith("C:")


@pytest.mark.parametrize(
    ("write", "note"),
    [
        (lambda path: path.replace("/", "\\"), "read as /"),
        (lambda path: f".\\{path}".replace("/", "\\"), "read as /"),
        (lambda path: f"  {path} ", "blanks"),
        (lambda path: unicodedata.normalize("NFD", path), "NFC"),
    ],
)
def test_paths_of_another_system_are_read_and_told(tmp_path, write, note):
    paths = [f"Müller/{i}.png" for i in range(6)]
    for path in paths:
        write_image(tmp_path / path, RNG.integers(0, 255, (16, 16), dtype=np.uint8))
    module = table_of(tmp_path, [write(path) for path in paths])
    assert [Path(path) for path in module.table["image_path"]] == [tmp_path / path for path in paths]
    assert any(note in told and "6 paths" in told for told in module.notes)


def test_a_name_with_a_backslash_is_taken_as_it_is(tmp_path):
    paths = [f"a\\{i}.png" for i in range(3)]
    for path in paths:
        write_image(tmp_path / path, RNG.integers(0, 255, (16, 16), dtype=np.uint8))
        write_image(tmp_path / path.replace("\\", "/"), np.zeros((16, 16), np.uint8))
    module = table_of(tmp_path, paths)
    assert [Path(path).name for path in module.table["image_path"]] == paths
    assert module.notes == []


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16", "utf-8-sig"])
def test_umlauts_in_paths_are_found_in_any_encoding(tmp_path, encoding):
    for i in range(6):
        write_image(tmp_path / f"Müller{i}.png", RNG.integers(0, 255, (16, 16), dtype=np.uint8))
    module = table_of(tmp_path, [f"Müller{i}.png" for i in range(6)])
    text = (tmp_path / "split.csv").read_text(encoding="utf-8").replace(",", ";")
    (tmp_path / "split.csv").write_bytes(text.encode(encoding))
    assert Path(module.table["image_path"][0]).name == "Müller0.png"
    assert module.notes


def test_an_encoding_that_names_no_files_is_an_error(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"Müller{i}.png", np.zeros((16, 16), np.uint8))
    module = table_of(tmp_path, [f"Müller{i}.png" for i in range(3)])
    text = (tmp_path / "split.csv").read_text(encoding="utf-8")
    (tmp_path / "split.csv").write_bytes(text.encode("mac_roman"))
    with pytest.raises(TableError, match=r"split\.csv: cannot be read: it is not UTF-8 \(line 2\)"):
        _ = module.table


OURS = [
    "abnormal", "label_index", "artificial", "artificial_of", "artificial_repeat", "image_path", "mask_path", "index",
    "subset", "path", "Index", "level_0", "raw_score", "score", "decision", "distance",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("path", "mask_path")])
@pytest.mark.parametrize("synthetic", [None, "noise:0.2"])
def test_a_column_called_as_one_of_ours_changes_nothing(tmp_path, name, synthetic):
    for i in range(9):
        write_image(tmp_path / f"{i}.png", RNG.integers(0, 255, (16, 16), dtype=np.uint8))
    paths = [f"{i}.png" for i in range(9)]
    plain = table_of(tmp_path, paths).table
    table_of(tmp_path, paths, **{name: ["True", "yes", "0"] * 3})
    module = data.Table(root=tmp_path, image_size=16, synthetic_anomalies=synthetic)
    module.setup()
    listed = module.listed
    for column in ("image_path", "label", "split", "group", "abnormal", "mask_path"):
        assert listed[column].tolist() == plain[column].tolist()
    assert ["True", "yes", "0"] * 3 in [listed[column].tolist() for column in listed]
    assert module.test_data.__getitems__([0]).gt_label.tolist() == [False]


@pytest.mark.parametrize("name", OURS)
def test_a_plugin_s_column_called_as_one_of_ours_changes_nothing(tmp_path, name):
    for i in range(3):
        write_image(tmp_path / f"{i}.png", RNG.integers(0, 255, (16, 16), dtype=np.uint8))

    class Clinic(MedicalDataModule):
        def samples(self, root):
            rows = [(f"{i}.png", "sick" if i else "normal", SPLITS[i], i) for i in range(3)]
            table = pd.DataFrame(rows, columns=["image_path", "label", "split", "group"])
            return table.assign(**{name: [None, float("nan"), ""]}) if name not in table else table

    module = Clinic(root=tmp_path, image_size=16)
    module.setup()
    assert module.listed["abnormal"].tolist() == [False, True, True]


def test_a_plugin_s_column_that_stands_there_twice_is_an_error():
    table = pd.DataFrame(
        [["a", "normal", "train", "p", "x"]], columns=["image_path", "label", "split", "group", "label"]
    )
    with pytest.raises(TableError, match=r"has the column\(s\) label more than once"):
        complete(table, ["normal"])


def test_what_was_read_otherwise_stands_in_the_evidence(tmp_path):
    for i in range(3):
        write_image(tmp_path / f"{i}.png", RNG.integers(0, 255, (16, 16), dtype=np.uint8))
    module = table_of(tmp_path, [f".\\{i}.png" for i in range(3)])
    assert data_section(module)["notes"] == module.notes != []
