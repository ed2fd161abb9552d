"""A missing cell is an error that names rows and column; nothing is guessed, and no row is lost."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image

import medanomaly.data as data
from medanomaly.cli import main
from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.splits import carve_validation, deal_groups, split_by_group
from medanomaly.data.table import TableError, check, complete, counts, digest, read_columns, read_csv

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
NORMAL = ["normal"]
EMPTY = [None, float("nan"), pd.NA, pd.NaT, "", "  ", "nan", "NaN", "None", "NA", "N/A", "null", "#N/A"]
IN_CSV = ["", " ", "nan", "NaN", "None", "NA", "N/A", "null", "NULL", "#N/A", '" "', '""', "\u00a0"]
COLUMNS = ["image_path", "label", "split", "group"]


def samples(number: int = 12) -> pd.DataFrame:
    """Every third image is abnormal, from the second third on; each its own group."""
    rows = []
    for i in range(number):
        split = ("train", "val", "test")[i * 3 // number]
        rows.append((f"{i}.png", "sick" if i % 3 == 0 and split != "train" else "normal", split, f"p{i}"))
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)


def tree(root: Path, lines: list[str], header: str = "path,label,group,split") -> Path:
    for i in range(12):
        write_image(root / f"{i}.png", GREY + i)
    (root / "split.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def lines(splits: bool = True) -> list[str]:
    return [",".join(row[: 3 + splits]) for row in samples()[["image_path", "label", "group", "split"]].to_numpy()]


# --- Tables of plugins


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("cell", EMPTY, ids=repr)
def test_a_missing_cell_of_a_plugin_s_table_is_an_error(column, cell):
    table = samples()
    table[column] = [cell if i in (4, 7) else value for i, value in enumerate(table[column])]
    with pytest.raises(TableError, match=rf"'{column}' is missing in 2 of 12 rows: row 5.*row 8"):
        complete(table, NORMAL)


@pytest.mark.parametrize("dtype", ["category", "str", "object"])
def test_missing_labels_of_any_type_are_found(dtype):
    table = samples()
    table.loc[3, "label"] = None
    with pytest.raises(TableError, match=r"'label' is missing in 1 of 12 rows: row 4 3\.png"):
        complete(table.astype({"label": dtype}), NORMAL)


@pytest.mark.parametrize("values", [np.array([1.0, np.nan] * 6), pd.array([1, None] * 6, dtype="Int64")])
def test_missing_numbers_are_found(values):
    with pytest.raises(TableError, match=r"'group' is missing in 6 of 12 rows"):
        complete(samples().assign(group=values), NORMAL)


def test_every_column_is_in_one_error_and_long_lists_are_cut():
    table = pd.concat([samples()] * 4, ignore_index=True)
    table.loc[:29, "label"], table.loc[3, "group"] = "", None
    with pytest.raises(TableError) as error:
        complete(table, NORMAL)
    text = str(error.value)
    assert "'label' is missing in 30 of 48 rows" in text
    assert "and 10 more" in text
    assert "'group' is missing in 1 of 48 rows: row 4 3.png" in text
    assert "neither normal nor abnormal" in text


@pytest.mark.parametrize("column", ["label", "group"])
def test_dealing_splits_asks_first(column):
    table = samples().drop(columns="split")
    table.loc[5, column] = float("nan")
    with pytest.raises(TableError, match=rf"'{column}' is missing in 1 of 12 rows: row 6 5\.png"):
        split_by_group(table, NORMAL, (0.6, 0.2, 0.2), 0)
    with pytest.raises(TableError, match=rf"'{column}' is missing"):
        carve_validation(table.assign(split="train"), NORMAL, 0.2, 0)
    if column == "group":
        with pytest.raises(TableError, match="'group' is missing"):
            deal_groups(table, (0.6, 0.2, 0.2), 0)


@pytest.mark.parametrize("mask", [None, float("nan"), pd.NA, "", " ", "nan", "None", "N/A"], ids=repr)
def test_a_missing_mask_is_no_mask(tmp_path, mask):
    for i in range(12):
        write_image(tmp_path / f"{i}.png", GREY)
    write_image(tmp_path / "mask.png", GREY)

    class Clinic(MedicalDataModule):
        def samples(self, root):
            table = samples()
            table["image_path"] = [str(root / name) for name in table["image_path"]]
            masks = [str(root / "mask.png") if label == "sick" else mask for label in table["label"]]
            return table.assign(mask_path=pd.Series(masks, dtype=object))

    module = Clinic(root=tmp_path, image_size=8)
    module.setup()
    assert (module.table["mask_path"] != "").tolist() == module.table["abnormal"].tolist()
    batch = module.test_data.__getitems__([0, 1])
    assert batch.gt_mask.flatten(1).any(1).tolist() == batch.gt_label.tolist()


def test_relative_paths_lie_below_root(tmp_path, monkeypatch):
    for i in range(12):
        write_image(tmp_path / "set" / f"{i}.png", GREY)

    class Clinic(MedicalDataModule):
        def samples(self, root):
            return samples().assign(mask_path=[f"{i}.png" if i in (6, 9) else None for i in range(12)])

    module = Clinic(root=tmp_path / "set", image_size=8)
    module.setup()
    assert module.table["image_path"].iloc[0] == str(tmp_path / "set" / "0.png")
    assert module.val_data.__getitems__([2]).gt_mask.any()
    monkeypatch.chdir(tmp_path)
    begins_with_root = Clinic(root="set", image_size=8).table["image_path"].iloc[0]
    assert begins_with_root == "set/0.png"
    drawn = data.Phantom(root="drawn", train=2, val=1, test=1).table["image_path"]
    assert all(Path(path).is_file() for path in drawn)


# --- CSV files


@pytest.mark.parametrize("splits", [True, False], ids=["split", "dealt"])
@pytest.mark.parametrize("column", ["path", "label", "group", "split"])
@pytest.mark.parametrize("cell", IN_CSV, ids=repr)
def test_a_missing_cell_of_a_csv_is_an_error_that_names_the_line(tmp_path, column, cell, splits):
    if column == "split" and not splits:
        return
    header = "path,label,group,split" if splits else "path,label,group"
    rows = [line.split(",") for line in lines(splits)]
    rows[3][header.split(",").index(column)] = cell
    root = tree(tmp_path, [",".join(row) for row in rows], header)
    with pytest.raises(TableError, match=rf"'{column}' is missing in 1 of 12 rows: line 5"):
        _ = data.Table(root=root).table


@pytest.mark.parametrize("last", [",,,", ", , ,", "12.png", "12.png,normal", '"","","",""'])
def test_a_last_line_that_a_spreadsheet_left(tmp_path, last):
    root = tree(tmp_path, [*lines(), last])
    with pytest.raises(TableError, match=r"split\.csv cannot be used:[\s\S]*is missing in 1 of 13 rows: line 14"):
        _ = data.Table(root=root).table
    with pytest.raises(TableError, match="line 14"):
        read_csv(root, "split.csv")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    rows = lines()
    rows[1] = '1.png,normal,"p\n1",train'
    rows[5] = "5.png,,p5,val"
    root = tree(tmp_path, [*rows[:3], "", "  ", *rows[3:]])
    with pytest.raises(TableError, match=r"'label' is missing in 1 of 12 rows: line 10 5\.png"):
        read_csv(root, "split.csv")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_blank_lines_and_commas_at_the_end_lose_nothing(tmp_path, ending):
    root = tree(tmp_path, [])
    text = ending.join(["\ufeffpath,label,group,split", *(f"{line},," for line in lines()), "", "   ", ""])
    (root / "split.csv").write_bytes(text.encode())
    table = data.Table(root=root).table
    assert len(table) == 12
    assert table["split"].tolist() == samples()["split"].tolist()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("3.png,sick,p3,val,more", "line 14: has 5 cells, and the header has 4"),
        ('3.png,"sick,p3,val', "not a readable CSV"),
    ],
)
def test_lines_that_cannot_be_told_apart_are_refused(tmp_path, line, says):
    with pytest.raises(TableError, match=says):
        read_csv(tree(tmp_path, [*lines(), line, *lines()]), "split.csv")


def test_a_column_that_stands_there_twice_is_refused(tmp_path):
    root = tree(tmp_path, [f"{line},normal" for line in lines()], "path,label,group,split,label")
    with pytest.raises(TableError, match="label more than once"):
        read_csv(root, "split.csv")


def test_csvs_read_as_pandas_reads_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b,,a,"c d"\n1,"x, ""y""",NA,,é\n"2\n3",nan, z ,4,\n\n5,6,7,8,9\n', encoding="utf-8")
    pd.testing.assert_frame_equal(read_columns(path, ("b",)), pd.read_csv(path, dtype=str, keep_default_na=False))


def test_training_and_check_end_with_one_message(tmp_path, capsys):
    rows = lines()
    rows[2] = "2.png,,p2,train"
    root = tree(tmp_path, rows)
    (tmp_path / "config.yaml").write_text(
        f"data:\n  class_path: medanomaly.data.Table\n  init_args:\n    root: {root}\n", encoding="utf-8"
    )
    assert main(["data", "check", str(tmp_path / "config.yaml")]) == 2
    assert "'label' is missing in 1 of 12 rows: line 4 2.png" in capsys.readouterr().err


# --- Spellings


@pytest.mark.parametrize("spelling", ["Normal ", "NORMAL", " normal", "normal\u00a0", "nOrMaL"])
@pytest.mark.parametrize("splits", [True, False], ids=["split", "dealt"])
def test_the_normal_class_is_known_however_it_is_written(tmp_path, spelling, splits, caplog):
    header = "path,label,group,split" if splits else "path,label,group"
    plain = data.Table(root=tree(tmp_path / "plain", lines(splits), header)).table
    rows = [line.replace("normal", spelling) if i % 4 == 1 else line for i, line in enumerate(lines(splits))]
    with caplog.at_level(logging.WARNING):
        module = data.Table(root=tree(tmp_path / "mixed", rows, header))
        table = module.table
    assert table["label"].tolist() == plain["label"].tolist()
    assert table["split"].tolist() == plain["split"].tolist()
    assert table["abnormal"].tolist() == plain["abnormal"].tolist()
    told = [record.message for record in caplog.records if "taken for" in record.message]
    assert told == module.notes
    assert len(told) == 1
    assert f"'{spelling}' (2 images) taken for 'normal'" in told[0]


def test_the_option_may_be_written_otherwise_too():
    table = complete(samples(), ["Normal "])
    check(table, ["Normal "])
    assert (~table["abnormal"]).sum() == (samples()["label"] == "normal").sum()
    # One who lists all spellings is not told off for those that no image has.
    check(complete(samples(), ["normal", "NORMAL"]), ["normal", "NORMAL"])


def test_other_classes_keep_their_names():
    table = samples()
    table.loc[table["label"] == "sick", "label"] = " Sick, very"
    assert set(complete(table, NORMAL)["label"]) == {"normal", " Sick, very"}


def test_a_class_that_is_called_none_is_named_in_the_option(tmp_path):
    rows = [line.replace("normal", "None") for line in lines()]
    root = tree(tmp_path, rows)
    with pytest.raises(TableError, match="write the name in full"):
        _ = data.Table(root=root).table
    table = data.Table(root=root, normal="None").table
    assert set(table.loc[~table["abnormal"], "label"]) == {"None"}


def test_a_class_that_no_image_has_is_an_error_that_lists_the_labels():
    names = ["normal", "benigm"]
    with pytest.raises(TableError, match=r"no image has the label\(s\) benigm .* labels found: normal, sick"):
        check(complete(samples(), names), names)


@pytest.mark.parametrize(
    ("one", "other"), [("12", "12.0"), ("p1", "p1 "), (12, 12.0), (" 7", "7"), ("patient3", "patient3.0")]
)
def test_two_spellings_of_a_group_hide_no_leak(one, other, caplog):
    table = samples()
    table.loc[0, "group"], table.loc[11, "group"] = one, other
    with pytest.raises(TableError, match=r"1 groups are in more than one split"):
        check(complete(table, NORMAL), NORMAL)
    if str(one) != str(other):
        assert "taken for" in caplog.text
    for seed in range(5):
        dealt = split_by_group(table.drop(columns="split"), NORMAL, (0.6, 0.2, 0.2), seed)
        assert dealt["split"][0] == dealt["split"][11]
        assert deal_groups(table, (0.6, 0.2, 0.2), seed)["split"].iloc[[0, 11]].nunique() == 1


def test_data_check_tells_what_was_taken_for_what(tmp_path, capsys):
    rows = [line.replace("normal", "NORMAL") if i == 2 else line for i, line in enumerate(lines())]
    root = tree(tmp_path, rows)
    (tmp_path / "config.yaml").write_text(
        f"data:\n  class_path: medanomaly.data.Table\n  init_args:\n    root: {root}\n", encoding="utf-8"
    )
    assert main(["data", "check", str(tmp_path / "config.yaml")]) == 0
    assert "'NORMAL' (1 image) taken for 'normal'" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "config.yaml"), "--json"]) == 0
    assert "taken for" in json.loads(capsys.readouterr().out)["notes"][0]


# --- What was right stays as it was


#: What version 0.1.0 gave.
DIGESTS = {
    "plain": "074a0088651ca2620d86e689b34f444f1bf6a8d3d8cf453191fe64689149aa52",
    "float groups": "3cb98056d6a1d7334e5b1759295ab961e0b5d9f8c8ab84be9a39f2139a218e76",
    "numbers as labels": "b64806b277d90a510d068eddd07cfc21383d6159eb8a2499ef79dfa51864db27",
    "blanks": "b31c3db48a5c258281cd2815642072a6a223e75299470b0b836f654722779144",
    "dealt": "86bb37f8b3862a989906573ca3989710a65db8c45ace63106e5f6ff9dc0f6a4b",
}


def test_tables_that_were_right_keep_their_digest():
    table = samples()
    assert digest(complete(table, NORMAL)) == DIGESTS["plain"]
    assert digest(complete(table.assign(group=np.arange(12.0)), NORMAL)) == DIGESTS["float groups"]
    assert digest(complete(table.assign(label=[0, 1] * 6), ["0"])) == DIGESTS["numbers as labels"]
    odd = table.assign(group=[f" P{i}" for i in range(12)], label=["normal", "Sick "] * 6, mask_path="")
    assert digest(complete(odd, NORMAL)) == DIGESTS["blanks"]
    dealt = split_by_group(table.drop(columns="split"), NORMAL, (0.5, 0.25, 0.25), 3)
    assert digest(complete(dealt, NORMAL)) == DIGESTS["dealt"]


def test_counts_have_every_row():
    table = samples().assign(abnormal=False)
    table.loc[0, "label"], table.loc[1, "split"] = None, "holdout"
    assert sum(row["images"] for row in counts(table)) == len(table)


def test_a_column_called_artificial_is_the_user_s_own(tmp_path):
    rows = [f"{line},{'yes' if i % 2 else 'no'}" for i, line in enumerate(lines())]
    root = tree(tmp_path, rows, "path,label,group,split,artificial")
    module = data.Table(root=root, image_size=8, synthetic_anomalies="noise:0.2", validation="normal")
    module.setup()
    assert len(module.val_data) == 2 * 3
    assert set(module.listed["artificial (given)"]) == {"yes", "no"}
    data.Table(root=root, image_size=8).setup()
