"""Scores with their truth from a CSV: a row without truth or score is never counted."""

from __future__ import annotations

import numpy as np
import pytest

from medanomaly.decision.operating_point_log import DecideError, read_scores

EMPTY = ["", " ", "nan", "NaN", "None", "NA", "N/A", "null", "#N/A"]


def written(tmp_path, text):
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["label", "abnormal"])
@pytest.mark.parametrize("cell", EMPTY)
def test_a_missing_truth_names_column_and_lines(tmp_path, column, cell):
    good = "normal" if column == "label" else "false"
    path = written(tmp_path, f"raw_score,{column}\n1,{good}\n2,{cell}\n3,{good}\n4,{cell}\n")
    with pytest.raises(DecideError, match=rf"{column} is .* in 2 of 4 rows: line 3 .*, 5 "):
        read_scores(path)


@pytest.mark.parametrize("cell", [*EMPTY, "inf", "-inf", "1,5", "high"])
def test_a_missing_score_names_the_line(tmp_path, cell):
    cell = f'"{cell}"' if "," in cell else cell
    with pytest.raises(DecideError, match=r"raw_score is no finite number in 1 of 2 rows: line 3"):
        read_scores(written(tmp_path, f"raw_score,label\n1,normal\n{cell},normal\n"))


@pytest.mark.parametrize("row", ["2", ",", "2,"])
def test_a_short_or_empty_last_line_is_no_disease(tmp_path, row):
    with pytest.raises(DecideError, match="line 5"):  # as an editor counts: one line is blank
        read_scores(written(tmp_path, f"raw_score,label\n1,normal\n\n1,polyp\n{row}\n"))


def test_normal_is_normal_however_it_is_written(tmp_path, caplog):
    path = written(tmp_path, "raw_score,label\n1,normal\n2,Normal \n3,NORMAL\n4,polyp\n5,abnormal\n")
    scores, abnormal = read_scores(path)
    np.testing.assert_array_equal(scores, np.float32([1, 2, 3, 4, 5]))
    assert abnormal.tolist() == [False, False, False, True, True]
    assert "label 'Normal ' (1 rows) taken for 'normal'" in caplog.text


def test_truth_is_taken_from_abnormal_where_it_is_there(tmp_path):
    path = written(tmp_path, "raw_score,label,abnormal\n1,,True\n2,NA,false\n3,x,0\n")
    assert read_scores(path)[1].tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Raw_Score;Label\n1,5;Normal\n2;Läsion\n", "cp1252"),
        ("raw_score\tlabel\n1,5\tnormal\n2\tLäsion\n", "utf-16"),
        (" raw_score , LABEL \n1.5,normal\n2,x\n", "utf-8"),
        ("sep=;\r\nraw_score;abnormal\r\n1.5;false\r\n2.0;TRUE\r\n", "utf-8-sig"),
    ],
)
def test_scores_from_a_spreadsheet(tmp_path, text, encoding, caplog):
    path = tmp_path / "scores.csv"
    path.write_bytes(text.encode(encoding))
    scores, abnormal = read_scores(path)
    np.testing.assert_array_equal(scores, np.float32([1.5, 2]))
    assert abnormal.tolist() == [False, True]
    assert caplog.records


@pytest.mark.parametrize("rows", ["1,5;normal\n2.5;normal\n", "1,234,5;normal\n", "1.234,5;normal\n"])
def test_a_comma_that_may_mean_two_things_is_no_number(tmp_path, rows):
    with pytest.raises(DecideError, match="raw_score is no finite number in 1"):
        read_scores(written(tmp_path, f"raw_score;label\n{rows}"))


def test_a_score_beyond_32_bit_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("raw_score,abnormal\n1,0\n1e39,1\nx,1\n")
    with pytest.raises(DecideError) as raised:
        read_scores(tmp_path / "a.csv")
    first, second = str(raised.value).splitlines()
    assert "raw_score is beyond the range of 32-bit numbers (up to 3.4e+38) in 1 of 3 rows: line 3 ('1e39')" in first
    assert "raw_score is no finite number in 1 of 3 rows: line 4" in second
