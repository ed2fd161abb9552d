"""Parts of anomalib's benchmark that its documentation does not name."""

from __future__ import annotations

from typing import Any

from anomalib.pipelines.benchmark.generator import BenchmarkJobGenerator
from anomalib.pipelines.benchmark.job import BenchmarkJob
from anomalib.pipelines.benchmark.pipeline import Benchmark
from anomalib.pipelines.components.base import JobGenerator, Runner
from anomalib.pipelines.components.runners import ParallelRunner, SerialRunner
from anomalib.pipelines.components.utils import get_iterator_from_grid_dict
from anomalib.utils.config import flatten_dict
from anomalib.utils.logging import hide_output, redirect_logs

__all__ = [
    "BenchmarkJob",
    "BenchmarkJobGenerator",
    "Runner",
    "flatten_dict",
    "get_iterator_from_grid_dict",
    "hide_output",
    "redirect_logs",
    "runners",
]


def runners(config: dict[str, Any], generator: type[BenchmarkJobGenerator]) -> list[Runner]:
    """A runner for each accelerator of a benchmark's configuration, parallel or serial as anomalib decides.

    Args:
        config: With ``accelerator``: ``cpu``, ``cuda``, or a list of them.
        generator: Makes the jobs; called with the accelerator.

    Raises:
        ValueError: for another accelerator.
    """
    result: list[Runner] = []
    for runner in Benchmark._setup_runners(config):
        theirs: Any = runner
        jobs: JobGenerator = generator(theirs.generator.accelerator)
        result.append(ParallelRunner(jobs, theirs.n_jobs) if isinstance(runner, ParallelRunner) else SerialRunner(jobs))
    return result
