"""`medanomaly benchmark`: what a job's test leaves stays, and what failed in one job costs no other."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from medanomaly.cli import main
from medanomaly.runs import evidence_files


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Run a benchmark of two widths; returns status and table."""
    monkeypatch.chdir(tmp_path)

    def run(**more):
        data = {"root": str(tmp_path / "frames"), "train": 8, "val": 4, "test": 6, "image_size": 16}
        model = {
            "class_path": "medanomaly.models.Autoencoder",
            "init_args": {"stages": 2, "width": {"grid": [4, 8]}, "visualizer": True},
        }
        section = {"seed": 0, "model": model, "data": {"class_path": "medanomaly.data.Phantom", "init_args": data}}
        Path("b.yaml").write_text(yaml.safe_dump({"accelerator": "cpu", "benchmark": {**section, **more}}))
        status = main(["benchmark", "--config", "b.yaml"])
        tables = sorted(Path("runs").glob("benchmark/*/results.csv"))
        return status, pd.read_csv(tables[-1]) if tables else None

    return run


def test_what_fails_after_a_test_is_named_and_the_tests_stay(jobs, monkeypatch, capfd):
    made = evidence_files.render
    calls: list[int] = []

    def once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("broken page")
        return made(*args, **kwargs)

    monkeypatch.setattr(evidence_files, "render", once)
    status, table = jobs(max_epochs=1)
    assert status == 1
    assert table["failed"].tolist() == [1, 0]
    assert table["model.init_args.width"].tolist() == [4, 8]
    for folder in map(Path, table["folder"]):
        assert len(pd.read_csv(folder / "predictions.csv")) == 12
        assert (folder / "weights" / "tested.ckpt").is_file()
    failed = json.loads((Path(table["folder"][0]) / "evidence.json").read_text())["failed"]
    assert [entry["stage"] for entry in failed] == ["page"]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("medanomaly: ")]
    assert table["folder"][0] in line
    assert table["folder"][1] not in line


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "many", True])
def test_epochs_that_are_none_are_one_line(jobs, capsys, epochs):
    assert jobs(max_epochs=epochs) == (2, None)
    assert "benchmark.max_epochs" in capsys.readouterr().err


def test_tables_of_models_with_other_metrics_are_joined():
    from medanomaly.training.benchmark_job import KeptJob

    table = KeptJob.collect([{"seed": 1, "image_AUROC": 0.5}, {"seed": 2, "pixel_AUROC": 0.6}])
    assert table["seed"].tolist() == [1, 2]
    assert table["pixel_AUROC"].isna().tolist() == [True, False]
