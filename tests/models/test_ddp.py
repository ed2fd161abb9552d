"""Two processes train one model: every figure is made of both shares, and is what one process makes of the weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback, Trainer

from medanomaly import distributed as ranks
from medanomaly.registry import plugins
from medanomaly.runs import TestedRun

ROOT = Path(__file__).parents[2]
#: These sources, and not those that happen to be installed.
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in (".", "src", "plugins"))

#: Small networks, with what depends on all images switched on: score statistics, densities, rejection, class weights.
OPTIONS: dict[str, dict[str, Any]] = {
    "Autoencoder": {"stages": 3, "width": 8, "two_sided": True, "noise": 0.1},
    "AdversarialAutoencoder": {
        "stages": 3, "width": 8, "density": "kde", "rejection": "quantile", "pretrain_epochs": 1,
        "rejection_rounds": 1, "rejection_every": 1, "rejection_share": 0.1, "rejection_weight": -0.05,
        "minimum_kept": 8,
    },
    "Classifier": {},
    "PerceptualAutoencoder": {"stages": 3, "width": 8, "two_sided": True},
    "VariationalAutoencoder": {"stages": 3, "width": 8, "score": "sum", "context": 0.3},
}  # fmt: skip


class Probe(Callback):
    """Saves what each process holds at the end of training and of the test, beside the results."""

    def _save(self, trainer, pl_module, when):
        folder = Path(os.environ["MEDANOMALY_PROBE"])
        folder.mkdir(parents=True, exist_ok=True)
        state = {"state": pl_module.state_dict(), "metrics": dict(trainer.callback_metrics)}
        torch.save(state, folder / f"{when}-{trainer.global_rank}.pt")

    def on_train_end(self, trainer, pl_module):
        self._save(trainer, pl_module, "train")

    def on_test_end(self, trainer, pl_module):
        self._save(trainer, pl_module, "test")


def train(name: str, work: Path, devices: int, batch: int = 16, epochs: int = 3, **data) -> Path:
    """Train by the command line with a batch of so many images over all processes; returns the run's folder.

    All counts are odd, and batches uneven, so that shares differ in length.
    """
    labelled = {"training": "labelled", "train_bleeding": 16} if name == "Classifier" else {"validation": "normal"}
    options: dict[str, Any] = {
        "train": 45, "val": 21, "test": 17, "image_size": 32, "eval_batch_size": 5, "synthetic_anomalies": "noise:0.2",
        "synthetic_splits": "test", "root": work / "frames", **labelled, **data,
    }  # fmt: skip
    options["train_batch_size"] = batch // devices
    trainer: dict[str, Any] = {
        "strategy": "ddp" if devices > 1 else "auto", "devices": devices, "accelerator": "cpu", "max_epochs": epochs,
        "logger": "false", "enable_progress_bar": "false", "callbacks": "tests.models.test_ddp.Probe",
    }  # fmt: skip
    out = work / f"{name}-{devices}"
    command = [sys.executable, "-m", "medanomaly.cli", "train", "--model", name, "--data", "Phantom"]
    for prefix, group in (("model.init_args", OPTIONS[name]), ("data.init_args", options), ("trainer", trainer)):
        for key, value in group.items():
            command += [f"--{prefix}.{key}", str(value).lower() if isinstance(value, bool) else str(value)]
    # Lightning's variables of a training in this process would tell the new one that it is part of that.
    clean = {k: v for k, v in os.environ.items() if k not in {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR"}}
    probe = {"MEDANOMALY_PROBE": str(out / "probe"), "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--default_root_dir", str(out)], env=clean | probe, cwd=work, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.count("Report: ") == 1
    (run,) = (path for path in (out / name / "Phantom").iterdir() if not path.is_symlink())
    assert (out / name / "Phantom" / "latest").resolve() == run.resolve()
    return run


def differences(one: dict, other: dict) -> dict[str, float]:
    """Of each tensor that differs, the largest difference; infinite where shapes do."""
    assert one.keys() == other.keys()
    found = {}
    for key, value in one.items():
        if value.shape != other[key].shape:
            found[key] = float("inf")
        elif value.numel() and not torch.equal(value.nan_to_num(), other[key].nan_to_num()):
            found[key] = float((value.double() - other[key].double()).abs().nan_to_num().max())
    return found


def again(run_folder: Path, out: Path) -> tuple[dict, dict]:
    """Validate and test a run's weights in this process; returns the state before and after."""
    run = TestedRun.load(run_folder)
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    options: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
    trainer, module = Trainer(default_root_dir=out, **options), run.datamodule()
    # Spoilt, so that what is compared was really made anew.
    model: Any = run.model
    point, calibrated = model.post_processor, []
    for name in ("image_threshold", "image_scale", "pixel_threshold", "pixel_scale"):
        getattr(point, name).fill_(float("nan"))
    point.packed = point.packed[:0]
    calibrate = model.calibrate
    model.calibrate = lambda *batches: calibrated.append(calibrate(*batches))
    trainer.validate(run.model, datamodule=module, verbose=False)
    assert len(calibrated) == run.model.needs_calibration
    after = {key: value.clone() for key, value in run.model.state_dict().items()}
    trainer.test(run.model, datamodule=module, verbose=False)
    return before, after


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(plugins("model")))
def test_two_processes_hold_the_same_and_one_process_makes_the_same_of_it(name, tmp_path):
    run = train(name, tmp_path, 2)
    probe = run.parents[2] / "probe"
    for when in ("train", "test"):
        first, second = (torch.load(probe / f"{when}-{rank}.pt") for rank in range(2))
        assert differences(first["state"], second["state"]) == {}
        shared = first["metrics"].keys() & second["metrics"].keys()
        assert {"train": "train_loss", "test": "image_AUROC"}[when] in shared
        for key in shared:  # NaN where validation has normals alone
            np.testing.assert_equal(float(first["metrics"][key]), float(second["metrics"][key]), key)

    before, after = again(run, tmp_path / "again")
    # Batches hold other images than in two processes: a matrix product may round otherwise.
    for key, difference in differences(before, after).items():
        assert "packed" in key or difference <= 1e-5 * max(1.0, float(before[key].abs().max())), (key, difference)
    point = json.loads((run / "evidence.json").read_text())["operating_point"]
    alone = json.loads((tmp_path / "again" / "evidence.json").read_text())["operating_point"]
    assert alone["threshold"] == pytest.approx(point["threshold"], rel=1e-5)
    assert alone["fitted_on"] == point["fitted_on"]
    for table in ("predictions.csv", "validation.csv"):
        both, single = pd.read_csv(run / table), pd.read_csv(tmp_path / "again" / table)
        assert both["path"].tolist() == single["path"].tolist()
        assert not both["path"].duplicated().any()
        np.testing.assert_allclose(both["raw_score"], single["raw_score"], rtol=1e-5, atol=1e-7)
    assert len(pd.read_csv(run / "predictions.csv")) == 51


def test_shares_are_put_back_in_order():
    assert ranks.interleave([[0, 2, 4], [1, 3]]) == [0, 1, 2, 3, 4]
    assert ranks.interleave([[0, 2, 4], [1, 3, 0]], at_most=5) == [0, 1, 2, 3, 4]


def test_alone_nothing_changes():
    rows = [1, 2]
    assert ranks.gather_rows(rows) is rows
    assert (ranks.world_size(), ranks.rank(), ranks.loss_factor(3.0), ranks.gather_numbers(3)) == (1, 0, 1.0, [3])
    value = torch.rand(4, 2)
    assert torch.equal(ranks.batch_mean(value), value.mean(dim=0, keepdim=True))


def worker(number: int, folder: str) -> None:
    """One of two processes: the gradient of a loss that depends on the whole batch's mean."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2)
    value = torch.arange(10.0).reshape(5, 2)
    weight = torch.nn.Parameter(torch.ones(2))
    mine = (value[:3] if number == 0 else value[3:]) * weight
    loss = ranks.loss_factor(len(mine)) * ((mine - ranks.batch_mean(mine)) ** 2).mean()
    loss.backward()
    ranks.mean_gradients([weight])
    module = torch.nn.Module()
    module.register_buffer("grown", torch.full((number + 2,), float(number)))
    ranks.sync_buffers(module)
    torch.save((weight.grad, module.grown), f"{folder}/{number}.pt")
    torch.distributed.destroy_process_group()


def test_gradients_of_uneven_shares_are_those_of_the_whole_batch(tmp_path):
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    value, weight = torch.arange(10.0).reshape(5, 2), torch.ones(2, requires_grad=True)
    whole = value * weight
    ((whole - whole.mean(dim=0, keepdim=True)) ** 2).mean().backward()
    for number in range(2):
        gradient, grown = torch.load(tmp_path / f"{number}.pt")
        torch.testing.assert_close(gradient, weight.grad)
        assert grown.tolist() == [0.0, 0.0]
