"""A checkpoint is whole or not there; what stops a training leaves what it can go on from, and says how."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import signal

import pandas as pd
import pytest
import torch
from tests.test_seeds import small

from medanomaly import files
from medanomaly.cli import main
from medanomaly.registry import get
from medanomaly.runs.checkpoint_files import CheckpointError, WholeCheckpointIO, read

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def results(work):
    return work / "results" / "Autoencoder" / "Phantom"


def full_at(monkeypatch, number: int) -> None:
    """Let the disk be full from the ``number``-th file on that is brought onto it; files count, not folders."""
    calls, sync = [], os.fsync

    def fsync(file):
        if os.path.isfile(f"/proc/self/fd/{file}"):  # noqa: PTH113
            calls.append(file)
            if len(calls) >= number:
                raise FULL
        sync(file)

    monkeypatch.setattr(files.os, "fsync", fsync)


def no_parts(folder) -> bool:
    return not [path for path in folder.rglob("*") if path.name.endswith(".part") or path.name.startswith(".")]


def test_a_full_disk_leaves_the_checkpoint_before_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    full_at(monkeypatch, 2)
    assert main(small(tmp_path, "--trainer.max_epochs", "3")) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    path = results(tmp_path) / "v0/weights/lightning/model.ckpt"
    for said in (str(path), "No space left on device", "MiB are free", "--default_root_dir", f"--ckpt_path {path}"):
        assert said in err
    assert read(path)["epoch"] == 0
    assert no_parts(tmp_path)
    assert (results(tmp_path) / "latest").resolve() == results(tmp_path) / "v0"
    monkeypatch.undo()
    assert main(small(tmp_path, "--trainer.max_epochs", "3", "--ckpt_path", str(path))) == 0
    evidence = json.loads((results(tmp_path) / "latest" / "evidence.json").read_text())
    assert evidence["run"]["epochs"] == 3


def test_a_full_disk_at_the_first_checkpoint_leaves_latest_where_it_was(tmp_path, monkeypatch, capsys):
    assert main(small(tmp_path)) == 0
    assert not (results(tmp_path) / "v1").exists()
    full_at(monkeypatch, 1)
    capsys.readouterr()
    assert main(small(tmp_path)) == 2
    assert "v1/weights/lightning/model.ckpt: cannot be written" in capsys.readouterr().err
    assert (results(tmp_path) / "latest").resolve() == results(tmp_path) / "v0"
    assert not list((results(tmp_path)).glob("v1/**/*.ckpt"))
    assert no_parts(tmp_path)


def test_a_limit_of_the_system_tears_nothing(tmp_path):
    """A real refusal of the kernel, in the middle of a file."""
    path, saving = tmp_path / "weights" / "model.ckpt", WholeCheckpointIO()
    saving.save_checkpoint({"state_dict": {"a": torch.ones(5)}, "loops": {}}, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"model.ckpt: cannot be written \(File too large"):
            saving.save_checkpoint({"state_dict": {"a": torch.ones(50_000)}, "loops": {}}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]
    assert saving.last == path


def test_plain_anomalib_writes_whole_checkpoints_too(tmp_path, monkeypatch):
    from anomalib.engine import Engine

    from medanomaly.data import Phantom

    model = get("model", "Autoencoder")(stages=2, width=4)
    engine = Engine(max_epochs=2, default_root_dir=tmp_path, enable_progress_bar=False, accelerator="cpu")
    full_at(monkeypatch, 2)
    with pytest.raises(CheckpointError, match="No space left on device"):
        engine.fit(model, datamodule=Phantom(root=tmp_path / "f", train=4, val=2, test=2, image_size=16))
    assert read(next(tmp_path.rglob("model.ckpt")))["epoch"] == 0
    assert no_parts(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_the_line_is_printed_that_goes_on(tmp_path, monkeypatch, capsys, number):
    """The printed line is run as a shell would run it, from folders whose names need quoting."""
    work = tmp_path / "it's a folder, $HOME"
    work.mkdir()
    model = get("model", "Autoencoder")
    options = ["--seed", "true", "--trainer.max_epochs", "3"]

    def on_train_epoch_start(self):
        if self.trainer.current_epoch == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(model, "on_train_epoch_start", on_train_epoch_start, raising=False)
    assert main(small(work, *options)) == 128 + number
    err = capsys.readouterr().err
    first, line = err.splitlines()
    assert first == f"medanomaly: Stopped by {number.name}. Go on with:"
    monkeypatch.undo()
    command, *args = shlex.split(line)
    assert command == "medanomaly"
    path = results(work) / "v0/weights/lightning/model.ckpt"
    assert args[-2:] == ["--ckpt_path", str(path)]
    assert read(path)["epoch"] == 1
    assert main(args) == 0
    folder = (results(work) / "latest").resolve()
    run = json.loads((folder / "evidence.json").read_text())["run"]
    assert run["epochs"] == 3
    seed = json.loads((folder / "evidence.json").read_text())["run"]["seed"]
    assert f"--seed {seed}" in line  # the one that was drawn, and not another
    assert len(pd.read_csv(folder / "predictions.csv")) == 8


def test_a_signal_before_the_first_checkpoint_says_so_and_leaves_latest(tmp_path, monkeypatch, capsys):
    model = get("model", "Autoencoder")
    monkeypatch.setattr(model, "on_train_start", lambda self: signal.raise_signal(signal.SIGINT), raising=False)
    assert main(small(tmp_path)) == 130
    assert "No checkpoint was written yet." in capsys.readouterr().err
    assert not (results(tmp_path) / "latest").exists()


def test_a_stopped_resumed_training_names_the_checkpoint_that_it_came_from(tmp_path, monkeypatch, capsys):
    assert main(small(tmp_path)) == 0
    path = results(tmp_path) / "v0/weights/lightning/model.ckpt"
    model = get("model", "Autoencoder")
    monkeypatch.setattr(model, "on_train_start", lambda self: signal.raise_signal(signal.SIGTERM), raising=False)
    capsys.readouterr()
    assert main(small(tmp_path, f"--ckpt_path={path}", "--trainer.max_epochs", "2")) == 143
    line = capsys.readouterr().err.splitlines()[1]
    assert line.count("--ckpt_path") == 1
    assert line.endswith(f"--ckpt_path {path}")
    assert (results(tmp_path) / "latest").resolve() == results(tmp_path) / "v0"


def test_other_commands_only_say_that_they_were_stopped(tiny_run, tmp_path, monkeypatch, capsys):
    model = get("model", "Autoencoder")
    monkeypatch.setattr(model, "on_test_start", lambda self: signal.raise_signal(signal.SIGINT), raising=False)
    options = ["--config", str(tiny_run / "config.yaml"), "--default_root_dir", str(tmp_path)]
    assert main(["test", *options, "--ckpt_path", str(tiny_run / "weights/tested.ckpt")]) == 130
    assert re.fullmatch(r"medanomaly: Stopped by SIGINT\.\n", capsys.readouterr().err)
