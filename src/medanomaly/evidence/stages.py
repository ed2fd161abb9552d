"""Run what follows a test stage by stage: one that fails is named, its traceback is kept, and the rest goes on."""

from __future__ import annotations

import contextlib
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medanomaly.errors import MedAnomalyError

logger = logging.getLogger(__name__)

#: Tracebacks of failed stages, below the run's folder.
FAILURES = "failures"
#: The stage of ``evidence["image"]``.
FIGURES = "image figures"
_LONGEST = 300  # characters of an error's message


class ScoreError(MedAnomalyError, ValueError):
    """Figures are undefined because of what the model gives.

    Args:
        reason: Names no image: it may reach the card of a bundle.
        detail: What follows it in the message.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason + detail)
        self.reason = reason


class Stages:
    """The stages of one test.

    A failure is a record ``{"stage", "error", "traceback"}``: the stage's name, the error in a line, and the file with
    its traceback, relative to the run's folder; None where even that could not be written.

    Args:
        folder: The run's folder; None keeps no tracebacks.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.failed: list[dict[str, Any]] = []
        self._reasons: dict[str, str] = {}

    @contextmanager
    def stage(self, name: str, file: Path | None = None, once: bool = False) -> Iterator[None]:
        """A context whose exceptions end here, as a failure under ``name``.

        Interruptions (``KeyboardInterrupt``, ``SystemExit``) pass through.

        Args:
            name: In plain words.
            file: What the stage writes. Where it fails, the file of an earlier test is removed: it would be taken for
                this one's.
            once: Say nothing of a stage that failed before, as with each of many batches.
        """
        try:
            yield
        except Exception as error:
            if not (once and self.has_failed(name)):
                self.note(name, error)
            if file is not None:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)

    def attempt(self, name: str, action: Callable[[], Any]) -> bool:
        """Do something that comes again with every batch, unless it failed before; returns whether it was done."""
        if self.has_failed(name):
            return False
        with self.stage(name):
            action()
        return not self.has_failed(name)

    def has_failed(self, name: str) -> bool:
        """Whether a stage of this name failed."""
        return any(entry["stage"] == name for entry in self.failed)

    def note(self, name: str, error: BaseException) -> None:
        """Name a failure."""
        if self.folder is None:  # of several processes not the first, which tells
            logger.warning("%s failed (%s)", name, in_a_line(error), exc_info=error)
        reason = f"this stage failed ({type(error).__name__})"
        self._reasons[name] = error.reason if isinstance(error, ScoreError) else reason
        self.failed.append({"stage": name, "error": in_a_line(error), "traceback": self._kept(name, error)})

    def reason(self, name: str) -> str:
        """Why figures of a failed stage are undefined. Without the error's message, which may name a patient's file."""
        return self._reasons[name]

    def _kept(self, name: str, error: BaseException) -> str | None:
        if self.folder is None:
            return None
        stem = re.sub(r"\W+", "_", name).strip("_") or "stage"
        used = {entry["traceback"] for entry in self.failed}
        names = (f"{FAILURES}/{stem}{'' if number == 1 else f'_{number}'}.txt" for number in range(1, len(used) + 2))
        place = next(place for place in names if place not in used)
        try:
            file = self.folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
        except OSError:  # the disk may be what failed
            return None
        return place

    def forget_earlier(self) -> None:
        """Remove the tracebacks of an earlier test in the same folder."""
        if self.folder is not None and (self.folder / FAILURES).is_dir():
            with contextlib.suppress(OSError):
                for file in (self.folder / FAILURES).glob("*.txt"):
                    file.unlink()
                (self.folder / FAILURES).rmdir()

    def line(self) -> str:
        """All failures in one line, for the console; "" if there are none."""
        if not self.failed:
            return ""
        named = "; ".join(f"{entry['stage']} ({entry['error']})" for entry in self.failed)
        kept = any(entry["traceback"] for entry in self.failed)
        where = f" Tracebacks: {self.folder / FAILURES}" if self.folder is not None and kept else ""
        return f"medanomaly: the test is done, and something failed: {named}.{where}"


def in_a_line(error: BaseException) -> str:
    """An error's class and message, without line breaks."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def kind(entry: Mapping[str, Any]) -> str:
    """The error's class alone."""
    return str(entry.get("error") or "unknown").partition(":")[0]


def failures_of(callbacks: Sequence[Any]) -> list[dict[str, Any]]:
    """What a trainer's callbacks say that failed after its last test."""
    return [entry for callback in callbacks for entry in getattr(callback, "failures", None) or []]
