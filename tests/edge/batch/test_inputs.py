"""What a person names becomes what is scored: each file once, none without a word."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import records

from medanomaly.cli import main
from medanomaly.edge import Failure
from medanomaly.edge.batch.infer_inputs import SUFFIXES, Options, infer
from medanomaly.edge.batch.inputs import find_inputs, listed
from medanomaly.edge.batch.watch import arrivals
from medanomaly.imaging import PassedOver

DICOM = bytes(128) + b"DICM" + bytes(20)
NAMES = ["arch/a.png", "arch/s/b.png", "arch/s/t/c.tif", "arch/IM0001"]
OTHERS = ["arch/notes.txt", "arch/s/._b.png", "arch/.hidden/d.png", "arch/__MACOSX/e.png", "arch/empty/x.csv"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in (*NAMES, *OTHERS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(DICOM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "inputs",
    [
        ["arch"],
        ["arch/**"],
        ["arch/**/*"],
        ["a*/**"],
        ["./**"],
        ["**/*"],
        ["*"],
        ["arch/*"],
        ["arch", "arch"],
        ["arch/s", "arch"],
        ["arch/a.png", "arch/**"],
        ["arch/**", "arch/a.png", "arch/s", "arch/s/t/c.tif"],
        ["arch/", *NAMES],
    ],
)
def test_every_file_is_scored_once(tree, inputs):
    passed = PassedOver()
    found = list(find_inputs(inputs, passed=passed))
    assert sorted(os.path.normpath(path) for path in found) == sorted(NAMES)
    assert len(found) == len(NAMES)
    assert passed.reasons["system"] >= 1
    assert passed.kinds[".txt"] >= 1


def test_a_pattern_that_names_its_files_is_taken_at_its_word(tree):
    assert list(find_inputs(["arch/**/*.png"])) == ["arch/a.png", "arch/s/b.png"]
    assert list(find_inputs(["arch/*.txt"])) == ["arch/notes.txt"]
    assert list(find_inputs(["arch/**/*.csv"])) == ["arch/empty/x.csv"]
    assert list(find_inputs(["arch/.h*/*.png", "arch/__MAC*/**"])) == ["arch/.hidden/d.png", "arch/__MACOSX/e.png"]
    assert list(find_inputs(["arch/**/.hidden/*.png"])) == ["arch/.hidden/d.png"]
    assert list(find_inputs(["**/s/t"])) == ["arch/s/t/c.tif"]
    assert list(find_inputs(["arch/[ab].png", "arch/IM?001"])) == ["arch/a.png", "arch/IM0001"]


def test_named_files_are_tried_whatever_they_are(tree):
    named = ["arch/s/._b.png", "arch/notes.txt", "arch/notes.txt"]
    assert list(find_inputs(named)) == named
    assert list(find_inputs(["arch/.hidden"])) == ["arch/.hidden/d.png"]


@pytest.mark.parametrize("pattern", ["nothing/**", "arch/**/*.jpg", "arch/empty/*", "arch/empty/**", "arch/e*", "x*"])
def test_a_pattern_without_images_is_one_failure(tree, pattern):
    (failure,) = find_inputs([pattern])
    assert isinstance(failure, Failure)
    assert failure.input == pattern
    assert "no file matches this pattern" in failure.error or "holds no images" in failure.error


def test_a_folder_without_images_says_what_it_passed_over(tree):
    (failure,) = find_inputs(["arch/empty"])
    assert failure.error.endswith("Passed over: 1 file of another kind (1 .csv).")


@pytest.mark.parametrize("pattern", ["in", "in/**", "in/**/*.png", "in/*"])
def test_loops_of_links_end(tmp_path, monkeypatch, pattern):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    for name in ("loop", "again"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    found = list(find_inputs([pattern]))
    assert [os.path.realpath(path) for path in found] == [str(tmp_path / "in" / "a.png")]


def test_folders_behind_links_are_searched(tmp_path):
    (tmp_path / "site2").mkdir()
    (tmp_path / "site2" / "IM1").write_bytes(DICOM)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "site2").symlink_to("../site2")
    assert list(find_inputs([tmp_path / "in"])) == [str(tmp_path / "in" / "site2" / "IM1")]
    assert list(find_inputs([f"{tmp_path}/in/**/IM*"])) == [str(tmp_path / "in" / "site2" / "IM1")]


def test_a_closed_folder_and_a_name_too_long_are_failures(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    (failure,) = find_inputs([tmp_path])
    assert "closed: the folder cannot be looked into (Permission denied)" in failure.error
    (failure,) = find_inputs(["x" * 5000])
    assert "File name too long" in failure.error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le+mark", "utf-16-be+mark", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_is_read_by_its_mark(encoding, end):
    text = end.join(["a.png", "", "Übersicht 2.png", "日本/c.png"])
    marked = "\ufeff" + text if encoding.endswith("+mark") else text
    data = marked.encode(encoding.removesuffix("+mark"))
    assert listed(io.BytesIO(data)) == ["a.png", "Übersicht 2.png", "日本/c.png"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("a.png\r\nb.png\r\n".encode("utf-16-le"), "looks like UTF-16"),
        ("/data/a.png\n".encode("utf-16-be"), "looks like UTF-16"),
        ("日本語\r\n日本\r\n".encode("utf-16-le"), "looks like UTF-16"),
        ("a.png\n".encode("utf-16") + b"x", "is not whole"),
    ],
)
def test_a_list_that_cannot_be_told_scores_nothing(drawn_bundle, tmp_path, monkeypatch, capsys, data, problem):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert main(["infer", str(drawn_bundle), "-", "--out", "out"]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_list_parted_by_nul_and_names_of_one_letter():
    assert listed(io.BytesIO(b"a.png\0b\nc.png\0\0")) == ["a.png", "b\nc.png"]
    assert listed(io.BytesIO(b"a\0b\0")) == ["a", "b"]
    assert listed(io.BytesIO(b"na\xffme.png\n")) == ["na\udcffme.png"]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", "".encode("utf-16")])
def test_an_empty_list_is_a_failure(drawn_bundle, tmp_path, monkeypatch, capsys, data):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert main(["infer", str(drawn_bundle), "-", "--out", str(tmp_path / "out")]) == 1
    assert "the list on standard input names no file" in capsys.readouterr().out
    assert [record["input"] for record in records(tmp_path / "out")] == ["-"]


def test_the_summary_says_what_was_passed_over_and_why_inputs_failed(drawn_bundle, greys, tmp_path, capsys):
    folder = tmp_path / "in"
    for name, content in (("._a.png", b"x"), ("notes.txt", b"x"), ("b.png", b"x"), ("[red]\x1b[31m.png", b"")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    out = tmp_path / "out"
    assert main(["infer", str(drawn_bundle), str(folder), greys[0], "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "1 scored, 0 flagged as abnormal, 2 failed" in said
    assert "1 file or folder of the system, or hidden, 1 file of another kind (1 .txt)." in said
    assert f"Failed: {folder}/b.png: " in said
    assert "[red]\\x1b[31m.png" in said
    assert "\x1b" not in said
    assert json.loads((out / "infer.json").read_text())["passed_over"] == {"system": 1, "no_image": 1}
    (folder / "b.png").unlink()
    (folder / "[red]\x1b[31m.png").unlink()
    write_image(folder / "c.png", np.zeros((4, 4), np.uint8))
    assert main(["infer", str(drawn_bundle), str(folder), "--out", str(out)]) == 0


def test_reasons_of_many_failures_stay_in_the_records(drawn_bundle, tmp_path):
    summary = infer(drawn_bundle, [tmp_path / f"{i}.png" for i in range(7)], tmp_path / "out")
    assert summary.sentence().count("Failed: ") == 5
    assert "And 2 more failed." in summary.sentence()
    assert "Failed inputs have a record" in summary.sentence()


def test_pictures_of_another_run_are_not_scored(drawn_bundle, greys, tmp_path):
    folder = str(Path(greys[0]).parent)
    for out in ("first", "second"):
        infer(drawn_bundle, [folder], f"{folder}/{out}")
        assert [record["input"] for record in records(tmp_path / folder / out)] == greys


def test_results_in_the_folder_of_the_images_itself(drawn_bundle, greys, tmp_path):
    folder = str(Path(greys[0]).parent)
    for _ in range(2):
        assert infer(drawn_bundle, [folder], folder).scored == 24


def test_a_folder_whose_name_looks_like_a_frame(drawn_bundle, tmp_path):
    folder = tmp_path / "x#frame=2 of 3" / "y#frame=2"
    folder.mkdir(parents=True)
    assert cv2.imwritemulti(str(folder / "stack.tif"), [np.full((20, 20), 200, np.uint8)] * 2)
    write_image(folder / "a.png", np.full((20, 20), 200, np.uint8))
    summary = infer(drawn_bundle, [tmp_path / "x#frame=2 of 3"], tmp_path / "out")
    assert (summary.scored, summary.failed) == (3, 0)
    names = sorted(record["overlay"] for record in records(tmp_path / "out"))
    assert names == ["overlays/000000-a.png", "overlays/000001-stack-1.png", "overlays/000002-stack-2.png"]


def test_watch_takes_dicom_of_any_name_and_counts_the_rest(drawn_bundle, tmp_path):
    folder = tmp_path / "in"
    (folder / "__MACOSX").mkdir(parents=True)
    for name, content in (
        ("IM1", DICOM),
        ("CT.1.2.3", DICOM),
        ("notes", b"y" * 200),
        ("a.csv", b"y"),
        ("x.dcm.part", DICOM),
    ):
        (folder / name).write_bytes(content)
    (folder / "link").symlink_to(tmp_path)
    looks, passed = iter(range(6)), PassedOver()
    found = [
        item
        for item in arrivals(folder, SUFFIXES, 0, 0, lambda _: next(looks, None) is None, passed=passed)
        if item is not None
    ]
    assert found == [str(folder / "CT.1.2.3"), str(folder / "IM1")]
    assert passed.to_dict() == {"system": 1, "no_image": 2, "unfinished": 1, "linked_folder": 1}


def test_what_a_watched_folder_hid_and_then_showed_is_not_passed_over(tmp_path):
    (tmp_path / ".a.png").write_bytes(b"x")
    looks, passed = iter(range(6)), PassedOver()

    def wait(_: float) -> bool:
        if (number := next(looks, None)) == 2:
            assert passed.to_dict() == {"system": 1}
            (tmp_path / ".a.png").rename(tmp_path / "a.png")
        return number is None

    assert [item for item in arrivals(tmp_path, SUFFIXES, 0, 0, wait, passed=passed) if item] == [
        str(tmp_path / "a.png")
    ]
    assert not passed
    assert passed.sentence() == ""


def test_results_in_a_watched_folder_do_not_feed_themselves(drawn_bundle, greys, tmp_path):
    from medanomaly.signals import StopSignal

    class Soon(StopSignal):
        looks = 0

        def wait(self, seconds: float) -> bool:
            self.looks += 1
            return self.looks > 8

    folder = str(Path(greys[0]).parent)
    options = Options(watch=tmp_path / folder, settle=0)
    assert infer(drawn_bundle, [], folder, options, Soon()).scored == 24
