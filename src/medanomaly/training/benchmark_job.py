"""Benchmark job that keeps its run; anomalib's tests in a temporary folder and keeps a row of figures."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
from lightning import seed_everything

from medanomaly.anomalib_compat.benchmark import BenchmarkJob, hide_output
from medanomaly.errors import MedAnomalyError
from medanomaly.evidence.stages import failures_of
from medanomaly.training.engine import RunEngine

logger = logging.getLogger(__name__)

#: Below it the runs lie, as ``<model>/<data>/v0``, ``v1`` and so on.
RUNS = Path("runs") / "benchmark"


class StageError(MedAnomalyError, RuntimeError):
    """Something that follows a test failed in some jobs. The message names their folders."""


class KeptJob(BenchmarkJob):
    """anomalib's job; the run's folder is kept, and named in the table, with the number of stages that failed.

    Args:
        epochs: Of training, where the model itself does not say how many.
        *args, **kwargs: As for anomalib's job.
    """

    def __init__(self, *args: Any, epochs: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epochs = epochs

    @hide_output
    def run(self, task_id: int | None = None) -> dict[str, Any]:
        """Train and test; returns a row of the table.

        Args:
            task_id: Number of the device, where several jobs run side by side.
        """
        started = time.time()
        seed_everything(self.seed)
        engine = RunEngine(
            accelerator=self.accelerator,
            devices="auto" if task_id is None else [task_id],
            default_root_dir=RUNS.absolute(),
            max_epochs=self.epochs,
            tests=True,  # in a folder of its own
        )
        began = time.time()
        engine.fit(self.model, self.datamodule)
        tested = time.time()
        figures = engine.trainer.test(self.model, datamodule=self.datamodule)[0]
        ended = time.time()
        failed = failures_of(getattr(engine.trainer, "callbacks", ()))
        row = {
            "accelerator": self.accelerator,
            "job_duration": ended - started,
            "fit_duration": tested - began,
            "test_duration": ended - tested,
            **self.flat_cfg,
            **figures,
            "folder": str(engine.folder),
            "failed": len(failed),
        }
        logger.info("Completed with result %s", figures)  # the row has paths
        return row

    @staticmethod
    def collect(results: list[dict[str, Any]]) -> pd.DataFrame:
        """The table, a row a job; of models with different metrics each has its own columns."""
        return pd.DataFrame(results)

    @staticmethod
    def save(result: pd.DataFrame) -> None:
        """Write the table.

        Raises:
            StageError: if a stage after some test failed; the table is written all the same.
        """
        BenchmarkJob.save(result)
        bad: list[str] = list(result.loc[result["failed"] > 0, "folder"]) if "failed" in result else []
        if len(bad):
            raise StageError(f"the tests are done, and something failed after them: see failures in {', '.join(bad)}")
