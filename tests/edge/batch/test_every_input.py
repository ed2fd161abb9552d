"""Every input gets its line, whatever the system refuses; and each error names the file that it is of."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle, records
from tests.imaging.test_find_images import DICOM

from medanomaly.cli import main
from medanomaly.edge.batch.infer_inputs import SUFFIXES, Options, infer
from medanomaly.edge.batch.inputs import expand, find_inputs
from medanomaly.edge.batch.watch import arrivals
from medanomaly.edge.result import Failure
from medanomaly.imaging import search
from medanomaly.signals import StopSignal

DENIED = PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.fixture
def closed(monkeypatch):
    """Names of files and folders that the system refuses, whoever runs the tests: folders to list, files to open.

    ``stat`` of what lies in a folder whose name ends with ``-unsearchable`` is refused too.
    """
    refused: set[str] = set()
    scandir, opened, stat, lstat = os.scandir, Path.open, os.stat, os.lstat

    def refuse(path: object) -> None:
        if isinstance(path, int):
            return
        text = os.fspath(path)
        if Path(text).name in refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), text)

    def refuse_below(path: object) -> None:
        if not isinstance(path, int) and any(part.endswith("-unsearchable") for part in Path(path).parts[:-1]):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))

    def scanning(path="."):
        refuse(path)
        return scandir(path)

    def opening(path, *args, **kwargs):
        refuse(path)
        return opened(path, *args, **kwargs)

    def stating(path, *args, **kwargs):
        refuse_below(path)
        return stat(path, *args, **kwargs)

    def lstating(path, *args, **kwargs):
        refuse_below(path)
        return lstat(path, *args, **kwargs)

    monkeypatch.setattr("os.scandir", scanning)
    monkeypatch.setattr(Path, "open", opening)
    monkeypatch.setattr("os.stat", stating)
    monkeypatch.setattr("os.lstat", lstating)
    return refused


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Three patients, the second one closed; each with a picture and a DICOM file without a suffix."""
    for patient in ("p1", "p2", "p3"):
        write_image(tmp_path / "archive" / patient / "a.png", np.full((20, 20), 200, np.uint8))
        (tmp_path / "archive" / patient / "IM1").write_bytes(DICOM)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "archive"


def found(*inputs: object) -> tuple[list[str], dict[str, str]]:
    items = list(find_inputs(inputs))
    return [item for item in items if isinstance(item, str)], {
        item.input: item.error for item in items if isinstance(item, Failure)
    }


@pytest.mark.parametrize(
    "given",
    ["archive", "archive/*/*.png", "archive/p*/a.png", "archive/**/*.png", "archive/*", "archive/**", "arch*/p?/*"],
)
def test_a_closed_folder_is_a_record_however_it_is_reached(archive, closed, given):
    closed.add("p2")
    if given == "archive/p*/a.png":  # no name has to be looked up in the folder: it may be closed to that alone
        (archive / "p2").rename(archive / "p2-unsearchable")
        closed.add("p2-unsearchable")
    files, failures = found(given)
    assert {Path(file).parent.name for file in files} == {"p1", "p3"}
    ((name, error),) = failures.items()
    assert Path(name).name.startswith("p2")
    assert "cannot be looked into (Permission denied). Allow reading it." in error


@pytest.mark.parametrize("given", ["archive/*.png", "archive/**/*.png", "archive", "./archive/p*/*"])
def test_the_folder_that_is_named_is_closed_itself(archive, closed, given):
    closed.add("archive")
    files, failures = found(given)
    assert not files
    assert "Permission denied" in next(iter(failures.values()))


def test_a_pattern_below_a_folder_that_may_not_be_searched(archive, closed):
    (archive / "p2").rename(archive / "p2-unsearchable")
    (archive / "p2-unsearchable" / "deep").mkdir()
    files, failures = found("archive/p2-unsearchable/deep/**/*.png", "archive/p2-unsearchable/a.png")
    assert not files
    assert all("Permission denied" in error for error in failures.values())
    assert len(failures) == 2


def test_a_file_of_unknown_kind_that_cannot_be_opened_is_no_other_kind(archive, closed):
    closed.add("IM1")
    files, failures = found("archive")
    assert not failures
    assert sorted(Path(file).name for file in files) == ["IM1"] * 3 + ["a.png"] * 3
    assert not search(archive).passed


def test_a_link_to_what_may_not_be_looked_at(archive, monkeypatch):
    for name in ("link", "link.png"):
        (archive / name).symlink_to("p2/elsewhere.png")
    scandir = os.scandir

    class Entry:
        def __init__(self, entry):
            self._entry, self.name, self.path = entry, entry.name, entry.path

        def __getattr__(self, name):
            return getattr(self._entry, name)

        def is_dir(self, **kwargs):
            if self.name.startswith("link"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return self._entry.is_dir(**kwargs)

    class Listing(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("os.scandir", lambda path: Listing(map(Entry, scandir(path))))
    files, failures = found("archive")
    assert len(files) == 7  # by its name the other one is a file, whose reader says why it cannot be read
    assert list(failures) == ["archive/link"]


def test_a_folder_that_vanishes_meanwhile(archive, monkeypatch):
    scandir = os.scandir

    def vanishing(path):
        if Path(path).name == "p2":
            (archive / "p2").rename(archive.parent / "gone")
        return scandir(path)

    monkeypatch.setattr("os.scandir", vanishing)
    files, failures = found("archive")
    assert len(files) == 4
    assert "No such file or directory" in failures["archive/p2"]


def test_names_that_no_file_can_have_are_records_and_the_run_goes_on(drawn_bundle, archive, tmp_path):
    deep = "d/" * 2100
    names = ["a\0.png", "\0/a.png", "arch\0*/a.png", "arch\0/**/*.png", "x" * 300 + ".png", deep + "a.png"]
    names += [
        deep + "**/*.png",
        "x" * 300,
        "",
        "\udcff\0",
        "archive/p1/a.png/b.png",
        "a\0.mp4",
        "x" * 300 + ".mp4",
        "d\0.tif",
    ]
    summary = infer(drawn_bundle, [*names, "archive/p1/a.png"], tmp_path / "out")
    lines = records(tmp_path / "out")
    assert [line["input"] for line in lines] == [*names, "archive/p1/a.png"]
    assert (summary.scored, summary.failed) == (1, len(names))
    for line in lines[:-1]:
        assert line["error"].startswith(f"{line['input']}: "), line
        assert not any(word in line["error"] for word in ("Error", "Traceback", "OUT")), line
    again = infer(drawn_bundle, [*names, "archive/p1/a.png"], tmp_path / "out", Options(resume=True))
    assert (again.before, again.scored, again.failed) == (len(names) + 1, 0, 0)
    files, failures = found(deep + "*.png")
    assert not files
    assert "File name too long" in failures[deep.rstrip("/")]  # the folder, not the pattern


def test_a_tree_deeper_than_a_path_can_be(drawn_bundle, tmp_path, monkeypatch):
    """The folder at the limit is one record, and so is each file beyond it; what lies above is scored."""
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "tree" / "a.png", np.full((20, 20), 200, np.uint8))
    os.chdir("tree")
    for _ in range(22):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Path("lost.png").write_bytes(b"x")
    os.chdir(tmp_path)
    summary = infer(drawn_bundle, [tmp_path / "tree"], tmp_path / "out")
    lines = records(tmp_path / "out")
    assert (summary.scored, summary.failed) == (1, 1)
    (failed,) = [line for line in lines if line["status"] == "failed"]
    assert "File name too long" in failed["error"]
    assert failed["input"].startswith(f"{tmp_path}/tree/ddd")


@pytest.mark.parametrize("name", ["a.tif", "a.dcm", "a.mp4"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("odd"), RuntimeError("odd")])
def test_a_file_that_breaks_the_look_at_its_frames_is_a_record(tmp_path, monkeypatch, name, error):
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("medanomaly.edge.batch.inputs.frames", broken)
    monkeypatch.setattr("medanomaly.edge.video.frames", broken)
    done: Counter[str] = Counter()
    items = list(expand(str(tmp_path / name), 1, done))
    assert len(items) == 1
    done[str(tmp_path / name)] = 1
    assert not list(expand(str(tmp_path / name), 1, done))


def watched(folder: Path, **more: object) -> list[object]:
    looks = iter(range(6))
    items = arrivals(folder, SUFFIXES, 0, 0, lambda _: next(looks, None) is None, **more)
    return [item for item in items if item is not None]


def test_a_watched_folder_records_what_may_not_be_looked_at_once(archive, closed):
    (archive / "p3").rename(archive / "p3-unsearchable")
    closed |= {"p2"}
    items = watched(archive)
    assert [item for item in items if isinstance(item, str)] == [f"{archive}/p1/IM1", f"{archive}/p1/a.png"]
    failures = sorted((item.input, item.error) for item in items if isinstance(item, Failure))
    assert [name for name, _ in failures] == [
        f"{archive}/p2",
        f"{archive}/p3-unsearchable/IM1",
        f"{archive}/p3-unsearchable/a.png",
    ]
    assert all("Permission denied" in error for _, error in failures)


def test_a_watched_folder_that_opens_later_is_scored(archive, closed):
    closed.add("p2")
    looks = iter(range(8))

    def wait(_: float) -> bool:
        number = next(looks, None)
        if number == 3:
            closed.clear()
        return number is None

    items = [item for item in arrivals(archive, SUFFIXES, 0, 0, wait) if item is not None]
    assert sum(isinstance(item, Failure) for item in items) == 1
    assert len([item for item in items if isinstance(item, str)]) == 6


def test_a_watched_folder_that_vanishes_is_a_record(drawn_bundle, archive, tmp_path):
    class Soon(StopSignal):
        looks = 0

        def wait(self, seconds: float) -> bool:
            self.looks += 1
            if self.looks == 5:
                archive.rename(tmp_path / "gone")
            return self.looks > 12

    infer(drawn_bundle, [], tmp_path / "out", Options(watch=archive, settle=0), Soon())
    last = records(tmp_path / "out")[-1]
    assert last["input"] == str(archive)
    assert "No such file or directory" in last["error"]


@pytest.mark.parametrize("name", ["card.json", "model.bin", "model.xml"])
@pytest.mark.parametrize("command", ["infer", "verify"])
def test_a_file_of_the_bundle_that_cannot_be_read_is_named(tmp_path, greys, monkeypatch, capsys, name, command):
    bundle, read_bytes, read_text = draw_bundle(tmp_path / "bundle"), Path.read_bytes, Path.read_text
    opened = Path.open

    def refusing(method):
        def read(path, *args, **kwargs):
            if path.name == name:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return method(path, *args, **kwargs)

        return read

    for attribute, method in (("read_bytes", read_bytes), ("read_text", read_text), ("open", opened)):
        monkeypatch.setattr(Path, attribute, refusing(method))
    more = ["--out", str(tmp_path / "out")] if command == "infer" else []
    assert main([command, str(bundle), greys[0], *more]) == 2
    error = capsys.readouterr().err
    assert f"{bundle / name}: cannot be read (Permission denied). Allow reading it" in error
    assert "written" not in error
    assert "JSON" not in error
    assert not (tmp_path / "out").exists()


def test_an_image_to_verify_that_cannot_be_read_is_named(drawn_bundle, greys, monkeypatch, capsys):
    from medanomaly.edge.content_hash import Contents

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), greys[0])

    monkeypatch.setattr(Contents, "of", refuse)
    monkeypatch.setattr("medanomaly.edge.batch.verify_bundle._recorded", lambda *_: {"x": {}}, raising=False)
    from medanomaly.edge.batch.verify_bundle import VerifyError, _addresses

    with pytest.raises(VerifyError, match=f"{greys[0]}: cannot be read"):
        _addresses([greys[0]], Contents(), set())


def test_a_file_that_the_reader_may_not_look_at_says_so_in_words(drawn_bundle, greys, tmp_path, monkeypatch):
    from medanomaly.imaging import Preprocessing

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), greys[0])

    monkeypatch.setattr(Preprocessing, "load_placed", refuse)
    infer(drawn_bundle, greys[:1], tmp_path / "out")
    assert records(tmp_path / "out")[0]["error"] == f"{greys[0]}: cannot be read (Permission denied). Allow reading it."


def test_a_file_of_out_that_cannot_be_written_is_named(drawn_bundle, greys, tmp_path, capsys):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[20:21], out)
    (out / "overlays" / "000001-21.png").mkdir()
    assert main(["infer", str(drawn_bundle), *greys[20:22], "--out", str(out), "--resume", "--no-cache"]) == 2
    error = capsys.readouterr().err
    assert f"{out / 'overlays' / '000001-21.png'}: cannot be written (" in error
    assert "Records written so far are intact" in error
    assert len(records(out)) == 1
