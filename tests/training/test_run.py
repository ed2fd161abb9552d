"""A run by the command line, from training to its folder."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from medanomaly.evidence import predictions as tables
from medanomaly.runs import TestedRun
from medanomaly.training.command_line import run as command


def test_the_run_folder_holds_everything(tiny_run):
    for name in ("evidence.json", "predictions.csv", "report.html", "split.csv", "run.json", "weights/tested.ckpt"):
        assert (tiny_run / name).is_file(), name


def test_figures_equal_scikit_learn_on_the_predictions(tiny_run):
    table = tables.read(tiny_run / "predictions.csv")
    evidence = json.loads((tiny_run / "evidence.json").read_text())
    auroc = evidence["image"]["auroc"]
    assert auroc["value"] == pytest.approx(roc_auc_score(table["abnormal"], table["raw_score"]), abs=1e-9)
    assert auroc["value"] == pytest.approx(roc_auc_score(table["abnormal"], table["score"]), abs=1e-5)
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert ((table["raw_score"] > evidence["operating_point"]["threshold"]) == table["decision"]).all()
    assert ((table["score"] > 0.5) == table["decision"]).all()
    assert evidence["image"]["confusion"]["true_positive"] == (table["decision"] & table["abnormal"]).sum()


def test_the_split_is_written_and_hashed(tiny_run):
    split = pd.read_csv(tiny_run / "split.csv")
    assert split["split"].value_counts().to_dict() == {"train": 48, "test": 48, "val": 40}
    assert not split["path"].str.startswith("/").any()
    assert re.fullmatch(r"[0-9a-f]{64}", json.loads((tiny_run / "evidence.json").read_text())["data"]["split_sha256"])


def test_tested_weights_give_the_same_scores(tiny_run):
    run = TestedRun.load(tiny_run)
    table = pd.read_csv(tiny_run / "predictions.csv").set_index("path")
    dataset = run.datamodule().subset("test")
    batch = dataset.__getitems__(list(range(len(dataset))))
    scores = run.model.model(batch.image).pred_score.detach().numpy()
    np.testing.assert_allclose(scores, table.loc[dataset.paths, "raw_score"], rtol=1e-5)


def options(work, *more: str) -> list[str]:
    return [
        "train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
        "--data", "Phantom", "--data.init_args.root", str(work / "frames"), "--data.init_args.image_size", "16",
        "--data.init_args.train", "24", "--data.init_args.val", "8", "--data.init_args.test", "8",
        "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
        "--default_root_dir", str(work / "results"), *more,
    ]  # fmt: skip


def newest(work):
    folder = (work / "results" / "Autoencoder" / "Phantom" / "latest").resolve()
    return pd.read_csv(folder / "predictions.csv"), json.loads((folder / "evidence.json").read_text())


def test_validation_mode_does_not_touch_the_scores_and_seeds_repeat(tmp_path):
    tables = []
    for mode in ("labelled", "normal", "labelled"):
        assert command(options(tmp_path, "--data.init_args.validation", mode)) == 0
        table, evidence = newest(tmp_path)
        tables.append(table)
        assert evidence["operating_point"]["fitted_on"] == {"normal": 8, "abnormal": 8 if mode == "labelled" else 0}
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])
    assert command(options(tmp_path, "--model.init_args.seed", "1")) == 0
    assert (newest(tmp_path)[0]["raw_score"] != tables[0]["raw_score"]).any()


def test_two_sided_score_is_calibrated_on_training_normals(tmp_path):
    assert command(options(tmp_path, "--model.init_args.two_sided", "true")) == 0
    folder = (tmp_path / "results" / "Autoencoder" / "Phantom" / "latest").resolve()
    run = TestedRun.load(folder)
    train = run.datamodule().subset("train")
    model = run.model.model
    with torch.no_grad():
        raw, _ = model.score.one_sided(model.errors(train.__getitems__(list(range(len(train)))).image))
    assert float(model.score.mean) == pytest.approx(float(raw.mean()), rel=1e-5)
    assert float(model.score.std) == pytest.approx(float(raw.std(unbiased=False)), rel=1e-4)


def test_one_class_in_test_is_undefined_not_zero(tmp_path):
    from tests.conftest import write_image

    rng = np.random.default_rng(0)
    for i in range(20):
        write_image(tmp_path / "normal" / f"{i}.png", rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
    status = command(
        ["train", "--model", "Autoencoder", "--model.init_args.stages", "2", "--model.init_args.width", "4",
         "--data", "Folder", "--data.init_args.root", str(tmp_path), "--data.init_args.image_size", "16",
         "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
         "--default_root_dir", str(tmp_path / "results")]
    )  # fmt: skip
    assert status == 0
    folder = (tmp_path / "results" / "Autoencoder" / "Folder" / "latest").resolve()
    evidence = json.loads((folder / "evidence.json").read_text())
    assert evidence["image"]["auroc"]["value"] is None
    assert evidence["caveats"][0]["title"] == "The test set has no abnormal image"
    assert "undefined" in (folder / "report.html").read_text()


def test_a_resumed_training_is_tested_with_its_last_weights(tmp_path):
    assert command(options(tmp_path)) == 0
    first = newest(tmp_path)[0]
    weights = (tmp_path / "results" / "Autoencoder" / "Phantom" / "v0" / "weights" / "lightning").glob("*.ckpt")
    resumed = options(tmp_path, "--ckpt_path", str(next(weights)))
    resumed[resumed.index("--trainer.max_epochs") + 1] = "2"
    assert command(resumed) == 0
    second, evidence = newest(tmp_path)
    assert evidence["run"]["epochs"] == 2
    assert (first["raw_score"] != second["raw_score"]).all()
    folder = (tmp_path / "results" / "Autoencoder" / "Phantom" / "latest").resolve()
    last = torch.load(next((folder / "weights" / "lightning").glob("*.ckpt")), weights_only=True)["state_dict"]
    tested = torch.load(folder / "weights" / "tested.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(last[name], tested[name]) for name in last if name.startswith("model."))


def test_the_test_command_repeats_the_figures_of_a_checkpoint_in_a_folder_of_its_own(tmp_path):
    assert command(options(tmp_path)) == 0
    first = newest(tmp_path)[0]
    folder = tmp_path / "results" / "Autoencoder" / "Phantom" / "v0"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    arguments = ["test", *options(tmp_path, "--ckpt_path", str(folder / "weights" / "tested.ckpt"))[1:]]
    assert command(arguments) == 0
    pd.testing.assert_frame_equal(newest(tmp_path)[0], first)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert (folder.parent / "latest").resolve() == folder.parent / "v1"
    assert (folder.parent / "v1" / "weights" / "tested.ckpt").is_file()
