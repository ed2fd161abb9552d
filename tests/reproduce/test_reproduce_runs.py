"""From a tested run to a cell."""

import math

import numpy as np
import pandas as pd
import pytest
from tools.reproduce import chest_xray, figures, gi_bleeding, mammography, study
from tools.reproduce.running import measure
from tools.reproduce.study_data import StudySet
from tools.reproduce.training import Training


@pytest.fixture
def run(tiny_run):
    return figures.Tested.load(tiny_run)


@pytest.mark.parametrize("system", [gi_bleeding, chest_xray, mammography])
def test_readers_give_figures_with_intervals(run, system):
    found = system.read(run, {})["figures"]
    assert {"auroc", "validation_auroc", "sensitivity", "false_positives"} <= set(found)
    assert found["auroc"]["value"] == run.evidence["image"]["auroc"]["value"]
    for name, figure in found.items():
        assert figure["value"] is None or (math.isfinite(figure["value"]) and "low" in figure), name


def test_study_reads_real_and_artificial_anomalies_apart(run):
    made = run.predictions[~run.predictions["abnormal"]].assign(abnormal=True, decision=True)
    rows = pd.concat([run.predictions, *(made.assign(label=f"artificial-{kind}") for kind in ("foreign", "noise"))])
    found = study.read(figures.Tested(run.folder, run.evidence, rows, run.validation), {})["figures"]
    assert found["fashion"]["value"] == found["noise"]["value"] == 1.0
    assert found["auroc"]["value"] == pytest.approx(run.evidence["image"]["auroc"]["value"])
    assert found["real"]["count"][1] == int(run.predictions["abnormal"].sum())


def test_study_set_counts_images_as_the_study_does(tmp_path):
    rng = np.random.default_rng(0)
    parts = {}
    for split in ("train", "val", "test"):
        parts[f"{split}_images"] = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
        parts[f"{split}_labels"] = np.arange(20).reshape(20, 1) % 2
    np.savez(tmp_path / "pneumoniamnist.npz", **parts)

    def counts(**options):
        table = StudySet(tmp_path, **options).listed
        return {name: len(rows) for name, rows in table.groupby(["split", "label"])}

    assert counts(train_images=4, test_images=3) == {
        ("test", "normal"): 3,
        ("test", "pneumonia"): 10,
        ("train", "normal"): 4,
        ("train", "pneumonia"): 10,
        ("val", "normal"): 10,
        ("val", "pneumonia"): 10,
    }
    both = counts(both_classes=True)
    assert both == {("test", "normal"): 10, ("test", "pneumonia"): 10, ("train", "normal"): 20, ("val", "normal"): 20}


@pytest.mark.slow
def test_a_row_is_trained_and_read_through_the_public_command(tmp_path):
    few = {"--data.init_args.root": str(tmp_path), "--data.init_args.train": "48", "--data.init_args.val": "20"}
    training = Training(
        "phantom",
        "configs/ae_phantom.yaml",
        {**few, "--data.init_args.test": "24"},
        lambda run, also: {"figures": {"auroc": run.evidence["image"]["auroc"]}, "facts": {"also": len(also)}},
        also={"again": {"--data.init_args.test": "16"}},
    )
    cell = measure(training, 1, quick=True)
    assert cell["facts"] == {"also": 1}
    assert cell["seed"] == 1
    assert 0 <= cell["figures"]["auroc"]["value"] <= 1
    assert cell["command"].startswith("python -m medanomaly.cli train --config configs/ae_phantom.yaml")
