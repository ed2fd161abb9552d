"""anomalib's command line as we complete it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medanomaly.decision.rules import RULES

CONFIGS = Path(__file__).parents[2] / "configs"


def test_short_names_become_addresses():
    from medanomaly.training.command_line import with_addresses

    args = ["train", "--model", "Autoencoder", "--data=Phantom", "--data.root", "Phantom", "--model", "Patchcore"]
    assert with_addresses(args) == [
        "train", "--model", "medanomaly.models.Autoencoder", "--data=medanomaly.data.Phantom",
        "--data.root", "Phantom", "--model", "Patchcore",
    ]  # fmt: skip


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

    from medanomaly.runs import TestedRun

    model = TestedRun.load(tiny_run).model
    image = next((tiny_run.parents[3] / "frames").rglob("*.png"))
    with pytest.raises(ValueError, match="medanomaly infer"):
        Engine(default_root_dir=tmp_path, enable_progress_bar=False).predict(model, data_path=image)
