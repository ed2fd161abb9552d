"""anomalib's commands as people use them: a wrong option reaches the user as one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medanomaly.cli import main
from medanomaly.commands.anomalib_commands import PASSED_ON


def command(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "medanomaly.cli", *args], capture_output=True, text=True)


def test_an_unknown_key_reaches_the_user_whole():
    done = command("train", "--model", "Autoencoder", "--model.init_args.wdith", "8", "--data", "Phantom")
    assert done.returncode == 2
    assert "wdith" in done.stderr


def test_a_missing_root_is_one_message_without_a_trace(tmp_path):
    done = command(
        "train", "--model", "Autoencoder", "--data", "WirelessCapsule", "--data.init_args.root", str(tmp_path / "no"),
        "--default_root_dir", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 2
    assert "Expected there:" in done.stderr
    assert "zenodo" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", PASSED_ON)
def test_without_the_training_install_it_is_one_line(monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, "medanomaly.training.command_line", None)
    monkeypatch.delattr("medanomaly.training.command_line", raising=False)
    assert main([name]) == 2
    err = capsys.readouterr().err
    assert err.startswith("medanomaly: this command needs the training install (")
    assert err.endswith("pip install 'medanomaly[train]'\n")
