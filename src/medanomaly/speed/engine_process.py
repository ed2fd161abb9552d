"""Start, ask and end engine processes (:mod:`medanomaly.speed.engine_worker`)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medanomaly.errors import MedAnomalyError

WORKER = Path(__file__).with_name("engine_worker.py")


class EngineError(MedAnomalyError, RuntimeError):
    """An engine cannot be measured. The message says why."""


@dataclass(frozen=True)
class Candidate:
    """What is measured.

    Args:
        name: What it is called in the report.
        spec: What the worker is told: engine, model, options.
        folder: Working directory of its process: anomalib writes its compile cache there.
    """

    name: str
    spec: dict[str, Any]
    folder: Path


class Worker:
    """A running engine.

    Args:
        candidate: What to run.
        first: The image that is scored on starting.

    Raises:
        EngineError: if it does not come to a score.
    """

    def __init__(self, candidate: Candidate, first: str) -> None:
        self.candidate = candidate
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed below)
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            cwd=candidate.folder,
        )
        try:
            self.first_score = float(self._ask({**candidate.spec, "first": first})["score"])
        except BaseException:
            self.close()
            raise
        #: Seconds from the start of the process to its first score.
        self.cold_start = time.perf_counter() - start

    def ask(self, do: str, paths: list[str], **options: Any) -> dict[str, Any]:
        """Give an order and wait for the answer; see :mod:`~medanomaly.speed.engine_worker`.

        Raises:
            EngineError: if the engine fails.
        """
        return self._ask({"do": do, "paths": paths, **options})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise EngineError(f"it ended without an answer ({self._last_error()})")
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer

    def _last_error(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "and without a message"

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with suppress(OSError):  # it has ended already
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
