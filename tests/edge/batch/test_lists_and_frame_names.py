"""Lists in every encoding, and names that hold ``#frame=``: what is meant is scored, or is refused."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import records

from medanomaly.edge.batch.infer_inputs import infer
from medanomaly.edge.batch.inputs import listed

GREY = np.full((20, 20), 200, np.uint8)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.png", "/data/study 1/a.png", "日本語", "Ελληνικά", "кириллица.png", "😀😀"])
def test_wide_letters_without_a_mark_are_refused(name, end, encoding):
    with pytest.raises(ValueError, match="looks like UTF-16"):
        listed(io.BytesIO((f"{name}{end}" * 3).encode(encoding)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_lists_one_after_the_other_each_with_its_mark(encoding):
    data = "".join(f"\ufeff{name}\r\n" for name in ("a.png", "日本.png", "c.png")).encode(encoding)
    assert listed(io.BytesIO(data)) == ["a.png", "日本.png", "c.png"]


def test_names_parted_by_nul_stay_what_they_are():
    names = [b"a\n", b"\nb", b"x" * 9, b"\xff\xfe\xfd.png", "日本\n語".encode()]
    assert [name.encode("utf-8", "surrogateescape") for name in listed(io.BytesIO(b"\0".join(names[:2])))] == names[:2]
    found = listed(io.BytesIO(b"\0".join(names[2:]) + b"\0"))
    assert [name.encode("utf-8", "surrogateescape") for name in found] == names[2:]


@pytest.mark.parametrize("name", ["x#frame=2", "x.dcm#frame=2", "x.png#frame=0", "#frame=1", "v.mp4#frame=3"])
@pytest.mark.parametrize("how", ["{}", ".", "{}/*", "**/*", "{}/stack.tif"])
def test_a_folder_that_is_called_like_a_frame(drawn_bundle, tmp_path, monkeypatch, name, how):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert cv2.imwritemulti(f"{name}/stack.tif", [GREY] * 2)
    summary = infer(drawn_bundle, [how.format(name)], "out")
    assert (summary.scored, summary.failed) == (2, 0)
    assert [record["input"] for record in records(tmp_path / "out")] == [f"{name}/stack.tif#frame={n}" for n in (1, 2)]


def test_a_file_that_is_called_like_a_frame(drawn_bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a#frame=3.png", GREY)
    write_image(tmp_path / "b.png", GREY).rename("b#frame=1")
    inputs = ["a#frame=3.png", "b#frame=1", "a#frame=3.png#frame=1"]
    assert infer(drawn_bundle, inputs, "out").scored == 3
    assert [record["input"] for record in records(tmp_path / "out")] == inputs


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("0", "has no frame 0; frames count from 1 to 2"),
        ("3", "has no frame 3"),
        ("999999999", "has no frame 999999999"),
        ("9999999999", "'9999999999' is no frame. Frames count from 1, as in s.tif#frame=1."),
        ("-1", "'-1' is no frame"),
        ("", "'' is no frame"),
        ("1.5", "is no frame"),
        ("abc", "is no frame"),
        ("٣", "is no frame"),
        (" 1", "is no frame"),
    ],
)
@pytest.mark.parametrize("name", ["s.tif", "s.png"])
def test_a_frame_that_there_is_none_of(drawn_bundle, tmp_path, monkeypatch, name, number, problem):
    monkeypatch.chdir(tmp_path)
    if name == "s.png":
        write_image(tmp_path / name, GREY)
    else:
        assert cv2.imwritemulti(name, [GREY] * 2)
    summary = infer(drawn_bundle, [f"{name}#frame={number}", name], "out")
    assert summary.failed == 1
    assert summary.scored == (2 if name == "s.tif" else 1)
    error = records(tmp_path / "out")[0]["error"]
    assert problem.replace("s.tif", name).replace("1 to 2", "1 to 2" if name == "s.tif" else "1 to 1") in error
