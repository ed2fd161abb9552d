"""Run trainings as processes of their own, two at a time with one thread each, and keep a cell of each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tools.reproduce import cells
from tools.reproduce.figures import Tested
from tools.reproduce.inputs import data_digest
from tools.reproduce.paths import HOME, Paths, expand
from tools.reproduce.training import Training

#: One thread a process: two processes on two cores get more done so than one with two threads.
THREADS = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
_SHOWN = 1500

console = Console(stderr=True)


def run_all(
    work: Sequence[tuple[str, Training]], paths: Paths, seed: int, fresh: bool = False, jobs: int = 2
) -> dict[tuple[str, str], str]:
    """Run what is missing and can be run.

    Args:
        work: Systems' names and trainings, the longest first where that is known.
        paths: Where cells go.
        seed: The seed.
        fresh: Whether finished cells are run anew.
        jobs: Trainings at a time.

    Returns:
        System and row of each that failed, with the end of what it said.
    """
    todo = [
        (system, training)
        for system, training in work
        if not (paths.quick and training.quick is None)
        and training.absent() is None
        and (fresh or cells.read(paths, system, training, seed) is None)
    ]
    failed: dict[tuple[str, str], str] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(jobs) as pool:
        bar = progress.add_task("", total=len(todo))
        futures: dict[Future[dict[str, Any]], tuple[str, Training]] = {
            pool.submit(measure, training, seed, paths.quick): (system, training) for system, training in todo
        }
        try:
            for future in as_completed(futures):
                system, training = futures[future]
                try:
                    cell = future.result()
                    cells.write(paths, system, training, seed, cell)
                    progress.console.print(f"{system} {training.name}, seed {seed}: {cell['seconds']} s")
                except Exception as error:  # one that fails must not take the others with it
                    failed[system, training.name] = f"{type(error).__name__}: {error}"
                    progress.console.print(f"{system} {training.name} failed. {traceback.format_exc(limit=-3)}")
                progress.advance(bar)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def measure(training: Training, seed: int, quick: bool) -> dict[str, Any]:
    """Train, test and read one row; its run is thrown away.

    Raises:
        RuntimeError: if a command fails; holds the end of what it printed.
    """
    # Now: a configuration may be edited meanwhile.
    start, key, data = time.perf_counter(), training.key(seed, quick), data_digest(training, seed, quick)
    with tempfile.TemporaryDirectory(prefix="reproduce-") as name:
        work = Path(name)
        if training.prepare:
            training.prepare(work, seed)
        run = _medanomaly(training.command(seed, quick, work), work / "run")
        weights = ["--ckpt_path", str(run.folder / "weights" / "tested.ckpt")]
        also = {
            kind: _medanomaly([*_as_test(training, seed, quick, options, work), *weights], work / kind)
            for kind, options in training.also.items()
        }
        found = training.read(run, also)
        return {
            "row": training.name,
            "key": key,
            "data_sha256": data,
            "config": training.config,
            "command": training.printed(seed, quick),
            "seed": seed,
            "quick": quick,
            "figures": found.get("figures", {}),
            "facts": found.get("facts", {}),
            "images": {key: run.evidence["image"][key] for key in ("normal", "abnormal", "groups")},
            "split_sha256": run.evidence["data"]["split_sha256"],
            "seconds": round(time.perf_counter() - start),
            "versions": run.evidence["run"]["versions"],
            "date": date.today().isoformat(),
        }


def _as_test(training: Training, seed: int, quick: bool, options: Mapping[str, str], work: Path) -> list[str]:
    """The training's command as a test of other data."""
    command = ["test", *training.command(seed, quick, work)[1:]]
    for name, value in options.items():
        command += [name, expand(value, work)]
    return command


def _medanomaly(arguments: Sequence[str], out: Path) -> Tested:
    command = [sys.executable, "-m", "medanomaly.cli", *arguments, "--default_root_dir", str(out)]
    command += ["--trainer.enable_progress_bar", "false"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HOME, env={**os.environ, **THREADS})
    if ran.returncode:
        raise RuntimeError((ran.stdout + ran.stderr)[-_SHOWN:])
    return Tested.load(next(out.rglob("evidence.json")).parent)
