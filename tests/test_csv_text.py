"""CSVs as programs and spreadsheets write them: read where they have one meaning, else an error that names the cause."""

from __future__ import annotations

import pytest

from medanomaly.csv_text import CsvError, read

NEEDED = [("path",), ("label",), ("group",)]
PLAIN = "path,label,group\na.png,normal,p1\nb.png,Läsion,p2\n"
ROWS = [["a.png", "normal", "p1"], ["b.png", "Läsion", "p2"]]


def written(tmp_path, content: str | bytes, encoding: str = "utf-8"):
    path = tmp_path / "split.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("content", "encoding", "note"),
    [
        (PLAIN, "utf-8", None),
        (PLAIN, "utf-8-sig", None),
        (PLAIN, "utf-16", "UTF-16"),
        ("\ufeff" + PLAIN, "utf-16-be", "UTF-16"),
        (PLAIN.replace("ä", "a"), "utf-16-le", "UTF-16"),
        (PLAIN, "utf-32", "UTF-32"),
        (PLAIN, "cp1252", "Windows-1252"),
        (PLAIN.replace("\n", "\r\n"), "utf-8", None),
        (PLAIN.replace("\n", "\r"), "utf-8", None),
        (PLAIN.replace(",", ";"), "utf-8", "semicolons"),
        (PLAIN.replace(",", "\t"), "utf-16", "tabs"),  # Excel's "Unicode text"
        (PLAIN.replace(",", "|"), "utf-8", "bars"),
        ("sep=;\n" + PLAIN.replace(",", ";"), "cp1252", "semicolons"),
        ("sep=,\r\n" + PLAIN, "utf-8", None),
        (PLAIN.replace("path,label,group", " Path ,LABEL,\u200bgroup"), "utf-8", "' Path ' read as 'path'"),
        (PLAIN.replace("path,label,group", '"Path"; Label;"Group "').replace(",", ";"), "utf-8", "'Group ' read as"),
    ],
)
def test_one_table_however_it_was_written(tmp_path, content, encoding, note):
    found = read(written(tmp_path, content, encoding), NEEDED)
    assert found.names == ["path", "label", "group"]
    assert [[cell.replace("Lasion", "Läsion") for cell in row] for row in found.rows] == ROWS
    first = 3 if content.startswith("sep") else 2
    assert found.lines == [first, first + 1]
    assert len(found.notes) == 0 if note is None else any(note in told for told in found.notes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04" + b"x" * 50, "a workbook of Excel"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 50, "an old workbook"),
        (b"\x1f\x8b" + b"x" * 50, "compressed with gzip"),
        (b"path,label,group\na.png,nor\0mal,p1\n", "zero bytes"),
        (b"\xff\xfep\0a", "damaged UTF-16"),
        (b" \n\n", "it is empty"),
        (b"path label group\na.png normal p1\n", "Separate the columns by commas"),
        (b"Path,PATH,label,group\na,b,c,d\n", "Path and PATH may both be the column path"),
        (b"path,label,group,label\na,b,c,d\n", "label more than once"),
        (b"image,label,group\na,b,c\n", r"lacks the column\(s\) path. It has: image, label, group"),
        (b" ,label,group\na,b,c\n", r"lacks the column\(s\) path. It has: ' ', label, group"),
        (b"path;label;group\na;b;c;d\n", "line 2: has 4 cells, .* a semicolon in quotation marks"),
    ],
)
def test_what_has_no_one_meaning_is_an_error_that_names_the_cause(tmp_path, content, says):
    with pytest.raises(CsvError, match=says) as error:
        read(written(tmp_path, content), NEEDED)
    assert "split.csv" in str(error.value)


def test_a_name_that_is_right_stands_beside_one_like_it(tmp_path):
    found = read(written(tmp_path, "path,Path,label,group\na,b,c,d\n"), NEEDED)
    assert found.names == ["path", "Path", "label", "group"]
    assert found.notes == []


def test_a_comma_in_a_table_of_semicolons_is_part_of_a_cell(tmp_path):
    found = read(written(tmp_path, "path;label;group;note\na.png;normal;p1;0,5 mm, left\n"), NEEDED)
    assert found.rows == [["a.png", "normal", "p1", "0,5 mm, left"]]


def test_either_of_two_columns_will_do(tmp_path):
    path = written(tmp_path, "Raw_Score\tLabel\n1\tnormal\n")
    assert read(path, [("raw_score",), ("abnormal", "label")]).names == ["raw_score", "label"]
    with pytest.raises(CsvError, match="abnormal or label"):
        read(written(tmp_path, "raw_score,x\n1,2\n"), [("raw_score",), ("abnormal", "label")])
