"""The place of a bundle: what is not the bundle's own is never lost, and a kill leaves one of the two bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from medanomaly.cli import main
from medanomaly.edge import Bundle
from medanomaly.export import ExportError, bundle_place, export_run
from medanomaly.folder_lock import only_writer


@pytest.fixture
def old(tiny_bundle, tmp_path):
    """A bundle of an earlier export; its card says so, and nothing else tells it from a new one."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "old"))
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "created": "then"}))
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def created(folder: Path) -> str:
    return Bundle.open(folder).card["created"]


FOREIGN = ["NOTES.md", "results/results.jsonl", "model.onnx", ".gitignore", ".git/config"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_not_the_bundles_own_is_named_and_stays(old, tiny_run, capsys, monkeypatch, name):
    monkeypatch.setattr("medanomaly.export.write_bundle._card", None)  # no work has begun
    (old / name).parent.mkdir(exist_ok=True)
    (old / name).write_text("mine")
    before = tree(old)
    assert main(["export", "--run", str(tiny_run), "--out", str(old)]) == 2
    error = capsys.readouterr().err
    assert f"holds {name.split('/')[0]} beside the bundle" in error
    assert error.count("\n") == 1
    assert tree(old) == before


@pytest.mark.parametrize("card", ['{"format": "of others"}', "mine", "[1]", ""])
def test_a_card_of_others_is_no_bundle(tiny_run, tmp_path, card):
    out = tmp_path / "cards"
    out.mkdir()
    (out / "card.json").write_text(card)
    (out / "precious.txt").write_text("mine")
    with pytest.raises(ExportError, match="exists and is not a bundle"):
        export_run(tiny_run, out)
    assert tree(out) == {"card.json": card.encode(), "precious.txt": b"mine"}


def test_its_own_files_are_replaced_and_its_log_is_kept(old, tiny_run):
    line = json.dumps({"old": {}, "new": {}, "date": "2026-01-01"}) + "\n"
    (old / "decisions.jsonl").write_text(line)
    (old / ".DS_Store").write_text("x")
    export_run(tiny_run, old)
    assert created(old) != "then"
    assert (old / "decisions.jsonl").read_text() == line
    assert set(tree(old)) == {"card.json", "model.xml", "model.bin", "validation.csv", "decisions.jsonl"}
    assert [path.name for path in old.parent.iterdir()] == ["old"]


def test_a_log_of_others_is_refused(old, tiny_run):
    (old / "decisions.jsonl").write_text("what we decided on Monday\n")
    with pytest.raises(ExportError, match=r"decisions.jsonl: is not the log that `medanomaly decide` writes"):
        export_run(tiny_run, old)
    assert created(old) == "then"


@pytest.mark.parametrize("out", [".", "..", "../old"])
def test_the_folder_one_is_in_is_refused_before_the_work(old, tiny_run, monkeypatch, out):
    (old / "below").mkdir()
    where = old / "below" if out == ".." else old
    if out != "..":
        (old / "below").rmdir()
    monkeypatch.chdir(where)
    before = tree(old)
    monkeypatch.setattr("medanomaly.export.write_bundle._card", None)
    with pytest.raises(ExportError, match="is the folder you are in"):
        export_run(tiny_run, out)
    assert tree(old) == before


def test_behind_a_link_the_bundle_is_replaced_and_the_link_stays(old, tiny_run, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("old")
    export_run(tiny_run, link)
    assert link.is_symlink()
    assert created(old) != "then"


@pytest.mark.parametrize("target", ["nowhere", "link", "file"])
def test_a_link_that_leads_to_no_folder_is_refused(tiny_run, tmp_path, target):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ExportError, match="is no folder|cannot be looked into"):
        export_run(tiny_run, tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_kill_while_they_change_places_leaves_a_whole_bundle(old, tiny_bundle, tmp_path, monkeypatch, step):
    """As the power fails: nothing runs after it, and the next export goes on."""
    part = Path(shutil.copytree(tiny_bundle, tmp_path / "part"))
    rename, count = Path.rename, 0

    def killed(path, target):
        nonlocal count
        count += 1
        if count >= step:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        bundle_place.put(part, old)
    monkeypatch.undo()
    with bundle_place.held(old):
        assert created(old) == "then"
    assert {path.name for path in tmp_path.iterdir()} == {"old", "part"}


def test_a_kill_before_the_old_one_is_gone_is_gone_on_from(old, tiny_bundle, tmp_path):
    shutil.copytree(tiny_bundle, tmp_path / "new")
    old.rename(tmp_path / ".new-before")
    with bundle_place.held(tmp_path / "new"):
        assert created(tmp_path / "new") != "then"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("there", [True, False])
def test_one_writer_at_a_time(old, tiny_run, tmp_path, there):
    out = old if there else tmp_path / "new"
    out.mkdir(exist_ok=True)
    with only_writer(out), pytest.raises(ExportError, match="writes into it"):
        export_run(tiny_run, out)
    assert not there or created(old) == "then"


def test_what_fails_leaves_nothing_behind(tiny_run, tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        export_run(tiny_run, tmp_path / "a" / "b", images=tmp_path / "nothing")
    assert not (tmp_path / "a" / "b").exists()
