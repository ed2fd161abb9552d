"""Two processes test one model, and something fails in one of them: nobody waits for ever, and the test is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning import Callback
from tests.small_runs import evidence_of, predictions_of

from medanomaly.runs import evidence_files, evidence_writer, first_files

ROOT = Path(__file__).parents[2]


class Breaking(Callback):
    """Breaks one thing in one process; what and where the environment says."""

    def setup(self, trainer, pl_module, stage):
        rank, what = os.environ["MEDANOMALY_BREAK"].split(":")
        if stage != "test" or trainer.global_rank != int(rank):
            return

        def broken(*args, **kwargs):
            raise IndexError(f"{what} is broken")

        if what == "metric":
            pl_module.evaluator.test_metrics[0].update = broken
        elif what == "weights":
            trainer._checkpoint_connector.dump_checkpoint = broken
        elif what == "predictions":
            first_files._predictions = broken
        elif what == "batch":
            evidence_writer.CollectedBatches.add = broken
        else:
            setattr(evidence_files if what == "render" else evidence_writer, what, broken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "stage", "status"),
    [
        ("0:image_metrics", "image figures", 1),
        ("0:render", "page", 1),
        ("0:weights", "weights", 1),
        ("1:weights", None, 0),
        ("0:predictions", "predictions", 1),
        ("0:batch", "predictions", 1),
        ("0:metric", "metric image_AUROC", 1),
        ("1:metric", "metric image_AUROC", 1),
    ],
)
def test_a_failure_in_one_process_leaves_no_other_waiting(where, stage, status, tmp_path):
    command = [
        sys.executable, "-m", "medanomaly.cli", "train", "--model", "Autoencoder", "--model.init_args.stages", "2",
        "--model.init_args.width", "4", "--data", "Phantom", "--data.init_args.root", str(tmp_path / "frames"),
        "--data.init_args.image_size", "16", "--data.init_args.train", "16", "--data.init_args.val", "8",
        "--data.init_args.test", "9", "--data.init_args.eval_batch_size", "5", "--trainer.max_epochs", "1",
        "--trainer.enable_progress_bar", "false", "--trainer.logger", "false", "--trainer.accelerator", "cpu",
        "--trainer.strategy", "ddp", "--trainer.devices", "2",
        "--trainer.callbacks", "tests.runs.test_evidence_writer_ddp.Breaking", "--default_root_dir", str(tmp_path / "out"),
    ]  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if k not in {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR"}}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    settings = {"MEDANOMALY_BREAK": where, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=clean | settings, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == status, (done.stdout + done.stderr)[-4000:]
    (run,) = (path for path in (tmp_path / "out" / "Autoencoder" / "Phantom").iterdir() if not path.is_symlink())
    if stage != "predictions":
        assert len(predictions_of(run)) == 18
        assert [entry["stage"] for entry in evidence_of(run)["failed"]] == ([stage] if stage else [])
    assert (run / "weights" / "tested.ckpt").exists() == (where != "0:weights")
    assert (stage or "Report: ") in done.stdout + done.stderr
