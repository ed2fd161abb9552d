"""``decide`` on what cannot be changed is one sentence, and changes nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from medanomaly.cli import main

RULE = ["--rule", "sensitivity:0.8"]


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(params=["run", "bundle"])
def target(request, tiny_run, tiny_bundle, tmp_path):
    return shutil.copytree(tiny_run if request.param == "run" else tiny_bundle, tmp_path / "copy")


def refuse(monkeypatch, number: int, folder: Path) -> None:
    """Let the system refuse to make or to fill files below a folder; root is refused nothing by permissions."""
    error = OSError(number, os.strerror(number), str(folder / "file"))

    def refused(*args, **kwargs):
        raise error

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    for name in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, refused)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_place_that_is_not_to_be_written_to(target, monkeypatch, capsys, number):
    before = digests(target)
    with monkeypatch.context() as patched:
        refuse(patched, number, target)
        assert main(["decide", str(target), *RULE]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert str(target) in err
    assert os.strerror(number) in err
    assert "Nothing was changed" in err
    assert digests(target) == before
    assert main(["decide", str(target), *RULE]) == 0


def test_a_failure_between_two_files_changes_neither(target, monkeypatch, capsys):
    """The report, and a bundle's card, come last: what was written before them does not take its name."""
    before, write = digests(target), Path.write_text

    def last_fails(self, *args, **kwargs):
        if "report.html" in self.name or "decisions.jsonl" in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return write(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", last_fails)
        assert main(["decide", str(target), *RULE]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert digests(target) == before


@pytest.mark.parametrize("kind", ["garbage", "torn", "pickle", "other"])
@pytest.mark.parametrize("command", ["decide", "export"])
def test_weights_that_are_none_of_the_runs(tiny_run, tmp_path, capsys, kind, command):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    path = run / "weights" / "tested.ckpt"
    whole = path.read_bytes()
    if kind == "garbage":
        path.write_bytes(b"not a checkpoint")
    elif kind == "torn":
        path.write_bytes(whole[:-300])
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}}))
    else:
        content = torch.load(path)
        content["state_dict"] = {f"other.{key}": value for key, value in content["state_dict"].items()}
        torch.save(content, path)
    before = digests(run)
    args = [str(run), *RULE] if command == "decide" else ["--run", str(run), "--out", str(tmp_path / "bundle")]
    assert main([command, *args]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert str(path) in err
    assert digests(run) == before
    assert not (tmp_path / "bundle").exists()
