"""A configuration and commands as for version 0.1.0: they work, and each old name is told once, in one plain line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Options, class paths and words of version 0.1.0.
OLD = """
model:
  class_path: medanomaly.models.Autoencoder
  init_args: {stages: 3, width: 8}
data:
  class_path: medanomaly.data.Phantom
  init_args:
    root: frames
    train: 16
    val: 8
    test: 8
    image_size: 32
    artificial: noise:0.2
    artificial_splits: [test]
    artificial_per_image: 1
trainer:
  max_epochs: 1
  logger: false
  enable_progress_bar: false
  callbacks:
  - class_path: medanomaly.models.checkpoints.AUCp
"""
TOLD = {
    f"Warning: {old} is {new} now. The old name works in this release and not in the next."
    for old, new in {
        "medanomaly.models.checkpoints": "medanomaly.models.checkpoint_selection",
        "medanomaly.evidence.writer": "medanomaly.runs.evidence_writer",
    }.items()
}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def ours(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "medanomaly.cli", *args)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    (folder / "old.yaml").write_text(OLD)
    return folder


def test_an_old_configuration_trains_and_each_old_name_is_told_once(place):
    done = ours(
        place, "train", "--config", "old.yaml", "--default_root_dir", "ours",
        "--trainer.callbacks+", "medanomaly.evidence.writer.EvidenceWriter",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if "now. The old name" in line]
    assert set(warned) == TOLD
    assert len(warned) == len(TOLD)
    assert "RenamedWarning" not in done.stderr + done.stdout
    for old, new in (("artificial", "synthetic_anomalies"), ("artificial_splits", "synthetic_splits")):
        assert f"The option {old} is called {new} now" in " ".join((done.stdout + done.stderr).split())
    latest = place / "ours" / "Autoencoder" / "Phantom" / "latest"
    assert json.loads((latest / "evidence.json").read_text())["image"]["images"] == 24


def test_an_old_configuration_trains_with_anomalibs_own_command(place):
    anomalib = Path(sys.executable).with_name("anomalib")
    done = run(place, str(anomalib), "train", "--config", "old.yaml", "--default_root_dir", "theirs")
    assert done.returncode == 0, done.stderr
    assert "medanomaly.models.checkpoints is medanomaly.models.checkpoint_selection now." in done.stderr


def test_an_old_name_on_the_command_line_of_data_check_is_told_once(place, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "from medanomaly.data.check import check\nfrom medanomaly_phantom import Phantom\n"
    )
    (tmp_path / "old.yaml").write_text(
        "data:\n  class_path: theirs.Phantom\n  init_args: {train: 4, val: 4, test: 4}\n"
    )
    done = ours(tmp_path, "data", "check", "old.yaml", "--root", str(place / "few"))
    assert done.stderr.count("medanomaly.data.check is medanomaly.data.check_data now.") == 1, done.stderr
    assert done.stderr.splitlines()[0].startswith("Warning: medanomaly.data.check is ")


def test_the_old_word_of_a_command_is_told(place):
    done = ours(place, "bench", "--help")
    assert done.returncode == 0
    assert "the command 'bench' is now 'speed'" in done.stderr
    assert "usage: medanomaly speed" in done.stdout


def test_what_a_run_recorded_under_an_old_name_loads_without_a_word(here):
    record = json.loads((here / "plain" / "run" / "run.json").read_text())
    code = (
        "import warnings; from medanomaly._moved import RenamedWarning\n"
        "warnings.simplefilter('error', RenamedWarning)\n"
        "from medanomaly.runs.load_model import class_of\n"
        "class_of('data', 'medanomaly.data.check.MedicalDataModule')\n"
    )
    assert record["model"]["class_path"]
    done = run(here, sys.executable, "-c", code)
    assert (done.returncode, "old name" in done.stderr) == (0, False), done.stderr
    for command in (
        ("export", "--run", "plain/run", "--out", "new"),
        ("decide", "plain/run", "--rule", "quantile:0.9"),
        ("report", "plain/run"),
        ("verify", "plain/bundle"),
    ):
        done = ours(here, *command)
        assert done.returncode == 0, (command, done.stderr)
        assert "old name" not in done.stderr + done.stdout
