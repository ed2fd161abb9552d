"""Which files below a folder are images, found once each, and what is passed over is counted."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from medanomaly.imaging.find_images import in_system, of_system, search
from medanomaly.imaging.skipped_files import AGAIN, LOOP, OTHER, RESULTS, SYSTEM, UNFINISHED, PassedOver

DICOM = bytes(128) + b"DICM" + bytes(20)

#: Of the system, or hidden: files, and folders with an image in them.
SYSTEM_FILES = ["._x.png", ".x.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "ehthumbs.db", "DICOMDIR", "~$x.png"]
SYSTEM_FOLDERS = [
    "__MACOSX",
    ".ipynb_checkpoints",
    "@eaDir",
    ".hidden",
    "#recycle",
    "@Recycle",
    "@Recently-Snapshot",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
    ".Trash-1000",
    ".git",
    ".@__thumb",
]


def touch(folder, *names, content=b"x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def names(folder, **options):
    return [path.relative_to(folder).as_posix() for path in search(folder, **options).files]


@pytest.mark.parametrize("name", [*SYSTEM_FILES, *(f"{folder}/x.png" for folder in SYSTEM_FOLDERS)])
def test_files_of_the_system_are_passed_over_and_counted(tmp_path, name):
    touch(tmp_path, "a.png", f"deep/{name}", content=DICOM)
    found = search(tmp_path)
    assert [path.name for path in found.files] == ["a.png"]
    assert found.passed.to_dict() == {SYSTEM: 1}
    assert in_system(f"deep/{name}")
    assert in_system(f"deep\\{name}")


@pytest.mark.parametrize("name", ["x.png", "a..png", "Thumbs.png", "recycle", "#1.png", "@1", "..", ".", "macosx"])
def test_other_names_are_not_the_system_s(name):
    assert not of_system(name)


def test_a_folder_that_is_hidden_itself_is_searched(tmp_path):
    touch(tmp_path, ".data/a.png")
    assert names(tmp_path / ".data") == ["a.png"]


@pytest.mark.parametrize("name", ["IM000001", "CT.1.2.840.113619.2.55", "scan.ima", "0001.", "a.b c", "x.dcm.1"])
def test_dicom_is_told_by_its_content_whatever_its_name(tmp_path, name):
    touch(tmp_path, f"PA1/ST1/{name}", content=DICOM)
    touch(tmp_path, "PA1/README", "PA1/notes.txt", content=b"y" * 500)
    found = search(tmp_path)
    assert [path.name for path in found.files] == [name]
    assert found.passed.to_dict() == {OTHER: 2}
    assert "2 files of other kinds (1 without suffix, 1 .txt)" in found.passed.sentence()


def test_where_dicom_is_not_looked_for_nothing_is_opened(tmp_path):
    touch(tmp_path, "IM1", content=DICOM)
    assert names(tmp_path, suffixes={".png"}) == []


def test_digits_of_an_identifier_are_not_shown(tmp_path):
    touch(tmp_path, "CT.1.2.840.4711", content=b"y" * 200)
    assert "4711" not in search(tmp_path).passed.sentence()


@pytest.mark.parametrize("name", ["a.png.part", "a.png.tmp", "a.png.crdownload", "IM1.filepart", "a.png~"])
def test_unfinished_files_are_passed_over(tmp_path, name):
    touch(tmp_path, name, content=DICOM)
    assert search(tmp_path).passed.to_dict() == {UNFINISHED: 1}


def test_folders_and_files_behind_links_are_found_once(tmp_path):
    touch(tmp_path, "site2/b.png", "site2/deep/c.png", "pool/d.png", "in/a.png")
    folder = tmp_path / "in"
    (folder / "again").symlink_to(tmp_path / "site2")
    (folder / "site2").symlink_to(tmp_path / "site2")
    (folder / "d.png").symlink_to(tmp_path / "pool" / "d.png")
    (folder / "e.png").symlink_to(tmp_path / "pool" / "d.png")
    (folder / "0.png").symlink_to(folder / "a.png")
    found = search(folder)
    assert [path.relative_to(folder).as_posix() for path in found.files] == [
        "a.png", "again/b.png", "again/deep/c.png", "d.png"
    ]  # fmt: skip
    assert found.passed.to_dict() == {AGAIN: 3}


def test_a_path_without_links_is_preferred(tmp_path):
    touch(tmp_path, "z/b.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    assert names(tmp_path) == ["z/b.png"]


def test_loops_of_links_end(tmp_path):
    touch(tmp_path, "in/a/b.png", "secret/c.png")
    (tmp_path / "in" / "a" / "self").symlink_to(tmp_path / "in" / "a")
    (tmp_path / "in" / "a" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "above").symlink_to(tmp_path)
    (tmp_path / "in" / "x.png").symlink_to(tmp_path / "in" / "x.png")
    found = search(tmp_path / "in")
    assert [path.name for path in found.files] == ["b.png"]
    assert found.passed.to_dict() == {LOOP: 4}


def test_two_folders_that_link_to_each_other(tmp_path):
    touch(tmp_path, "in/a/1.png", "out/b/2.png")
    (tmp_path / "in" / "a" / "other").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "b" / "back").symlink_to(tmp_path / "in")
    assert names(tmp_path / "in") == ["a/1.png", "a/other/b/2.png"]


def test_hard_links_are_files_of_their_own(tmp_path):
    touch(tmp_path, "a.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


def test_a_broken_link_called_as_an_image_is_not_lost(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "notes").symlink_to(tmp_path / "gone")
    found = search(tmp_path)
    assert [path.name for path in found.files] == ["a.png"]
    assert found.passed.to_dict() == {OTHER: 1}


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.png")
    assert search(tmp_path).passed.to_dict() == {OTHER: 2}


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    found = search(tmp_path)
    assert [path.name for path in found.files] == ["a.png"]
    assert found.closed == [(tmp_path / "closed", "Permission denied")]


def test_results_of_an_earlier_run_are_no_images(tmp_path):
    touch(
        tmp_path, "a.png", "scored/results.jsonl", "scored/infer.json", "scored/overlays/0-a.png", "scored/maps/0.png"
    )
    touch(tmp_path, "mine/masks/m.png")
    found = search(tmp_path)
    assert [path.name for path in found.files] == ["a.png", "m.png"]
    assert found.passed.reasons[RESULTS] == 2


def test_results_are_left_out_and_their_folder_may_be_the_images_own(tmp_path):
    touch(tmp_path, "a.png", "out/b.png", "overlays/c.png")
    assert names(tmp_path, leave_out=tmp_path / "out") == ["a.png", "overlays/c.png"]
    assert names(tmp_path, leave_out=tmp_path) == ["a.png", "out/b.png"]
    assert names(tmp_path / "out", leave_out=tmp_path) == ["b.png"]


def test_names_that_are_not_utf_8_and_the_order_by_path(tmp_path):
    touch(tmp_path, "b/2.PNG", "a.jpg", "b.png", "b-/1.tif", os.fsdecode(b"M\xfcller.png"))
    assert search(tmp_path).files == sorted(path for path in tmp_path.rglob("*.*") if path.is_file())


def test_what_was_passed_over_in_words():
    passed = PassedOver()
    assert passed.sentence() == ""
    assert not passed
    passed.note(SYSTEM)
    passed.note(OTHER, "a.TXT")
    passed.note(OTHER, "b.txt")
    assert passed.sentence() == (
        "Passed over: 1 file or folder of the system, or hidden, 2 files of other kinds (2 .txt)."
    )


def test_it_needs_numpy_and_opencv_alone():
    code = (
        "import sys, medanomaly.imaging.find_images, medanomaly.app.session.zip_archive\n"
        "print({'torch', 'anomalib', 'pandas', 'scipy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
