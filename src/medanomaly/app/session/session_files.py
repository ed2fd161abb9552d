"""Take in the files of one session in a thread of its own, while the first are being scored."""

from __future__ import annotations

import threading
import time
from itertools import count
from pathlib import Path
from queue import SimpleQueue

from medanomaly.app.session.uploads import Accepted, Intake, Limits, Refused, shown

#: Seconds for which a file that was announced is waited for after the last sign of any. What comes later is taken in.
PATIENCE = 15.0


class Files:
    """What a session was given, in the order it came.

    Args:
        folder: Where copies lie.
        limits: What is taken in at most.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._intake = Intake(folder, limits)
        self._numbers = count()
        self._changed = threading.Condition()
        self._queue: SimpleQueue[tuple[str, Path] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._closed = False
        # A file may come before it was announced: they take different ways.
        self._announced = self._arrived = 0
        self._heard = time.monotonic()
        self._queued = 0
        self.accepted: list[Accepted] = []
        self.refused: list[Refused] = []

    def expect(self, number: int) -> None:
        """So many more files are on their way; 0: none is any more, whatever was said before."""
        with self._changed:
            self._announced = self._announced + number if number else self._arrived
            self._heard = time.monotonic()
            self._changed.notify_all()

    def hear(self) -> None:
        """A part of a file has come: others that were announced are still on their way."""
        self._heard = time.monotonic()

    def place(self) -> Path:
        """A path in the session's folder for a file that is being sent."""
        return self._folder / f"sent-{next(self._numbers):06d}"

    def add(self, name: str, received: Path) -> None:
        """Hand a file over, which was sent to a :meth:`place`; it is taken in soon after."""
        with self._changed:
            self._arrived += 1
            self._waiting += 1
            self._heard = time.monotonic()
            self._queued += received.stat().st_size
            self._queue.put((name, received))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="medanomaly-intake", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether what was taken in and what waits for it are as much as a session may hold."""
        return self._intake.used + self._queued >= self._limits.total_bytes

    @property
    def passed_over(self) -> int:
        """How many files of folders and zips were the system's, or hidden."""
        return self._intake.passed_over

    def refuse(self, name: str, reason: str) -> None:
        """Note that a file was not received to its end, and why."""
        with self._changed:
            self._arrived += 1
        self._came(Refused(shown(name), reason))

    @property
    def waiting(self) -> int:
        """How many files are on their way or were not looked at yet; a zip counts as one."""
        # A browser that went away, or a server that was started again under an open page, announces what never comes.
        given_up = time.monotonic() - self._heard > PATIENCE
        return self._waiting + (0 if given_up else max(0, self._announced - self._arrived))

    def get(self, index: int, timeout: float) -> Accepted | bool:
        """A file by its number from 0.

        Returns:
            The file; True if it may still come, False if nothing more is on its way.
        """
        with self._changed:
            if index >= len(self.accepted) and self.waiting and not self._closed:
                self._changed.wait(timeout)
            if index < len(self.accepted):
                return self.accepted[index]
            return bool(self.waiting) and not self._closed

    def close(self) -> None:
        """Take nothing more in; returns when the file at work is done with."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (upload := self._queue.get()) is not None:
            name, received = upload
            size = received.stat().st_size
            try:
                for one in self._intake.take(name, received):
                    self._came(one)
                    if self._closed:
                        return
            except Exception as error:  # a full disk: the file is refused, the page lives on
                self._came(Refused(name, f"cannot be taken in ({type(error).__name__}). Is the disk full?"))
            with self._changed:
                self._waiting -= 1
                self._queued -= size
                self._changed.notify_all()

    def _came(self, one: Accepted | Refused) -> None:
        with self._changed:
            if isinstance(one, Accepted):
                self.accepted.append(one)
            else:
                self.refused.append(one)
            self._changed.notify_all()
