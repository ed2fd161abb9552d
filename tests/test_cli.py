"""The command line as people use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medanomaly.cli import PASSED_ON, main
from medanomaly.decision.rules import RULES

CONFIGS = Path(__file__).parents[1] / "configs"


def command(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "medanomaly.cli", *args], capture_output=True, text=True)


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name in ("plugins", "data", "infer", "export", "demo", "compare", "decide", "report", "verify", *PASSED_ON):
        assert f"\n  {name} " in shown or f"\n    {name} " in shown


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("infre", "infer"), ("plugin", "plugins"), ("reprot", "report")]
)
def test_a_mistyped_command_gets_a_suggestion(capsys, typed, meant):
    with pytest.raises(SystemExit) as stop:
        main([typed])
    assert stop.value.code == 2
    assert f"did you mean '{meant}'" in capsys.readouterr().err


def test_short_names_become_addresses():
    from medanomaly.training.command_line import with_addresses

    args = ["train", "--model", "Autoencoder", "--data=Phantom", "--data.root", "Phantom", "--model", "Patchcore"]
    assert with_addresses(args) == [
        "train", "--model", "medanomaly.models.Autoencoder", "--data=medanomaly.data.Phantom",
        "--data.root", "Phantom", "--model", "Patchcore",
    ]  # fmt: skip


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


def test_a_wrong_bundle_is_one_message(tmp_path, capsys):
    assert main(["infer", str(tmp_path), "x.png", "--out", str(tmp_path / "o")]) == 2
    assert "is not a bundle" in capsys.readouterr().err


def test_a_wrong_run_is_one_message(tmp_path, capsys):
    assert main(["export", "--run", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "run.json" in capsys.readouterr().err


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_builds_its_model_and_data(config, tmp_path, monkeypatch):
    from medanomaly.training.command_line import CommandLine

    if "weights: " in config.read_text(encoding="utf-8") and not os.environ.get("MEDANOMALY_WEIGHTS"):
        pytest.skip("MEDANOMALY_WEIGHTS is not set: configurations with pretrained weights are left out")
    monkeypatch.chdir(tmp_path)
    built = CommandLine(["train", "--config", str(config)], run=False)
    assert type(built.model).__name__
    assert built.datamodule.reading.size
    assert built.model.post_processor.rule in RULES


def test_predict_refuses_images_that_another_reader_read(tiny_run, tmp_path):
    from anomalib.engine import Engine

    from medanomaly.export import TestedRun

    model = TestedRun.load(tiny_run).model
    image = next((tiny_run.parents[3] / "frames").rglob("*.png"))
    with pytest.raises(ValueError, match="medanomaly infer"):
        Engine(default_root_dir=tmp_path, enable_progress_bar=False).predict(model, data_path=image)
