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
        self._intake = Intake(folder, limits, elsewhere=lambda: self._queued - self._at_work + self._reserved)
        self._numbers = count()
        self._changed = threading.Condition()
        self._queue: SimpleQueue[tuple[str, Path] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._closed = False
        # A file may come before it was announced: they take different ways.
        self._announced = self._arrived = 0
        self._heard = time.monotonic()
        # Bytes: of files that wait or are at work, of the one at work, taken in before it, and still being sent.
        self._queued = self._at_work = self._settled = self._reserved = 0
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

    def reserve(self, size: int) -> bool:
        """Keep room for bytes that are being sent, whether or not they come; False if the session has none left.

        Each that was kept ends with :meth:`release`, or with :meth:`add`.
        """
        with self._changed:
            if self._held + max(size, 1) > self._limits.total_bytes:
                return False
            self._reserved += size
            return True

    def release(self, size: int) -> None:
        """Give back what :meth:`reserve` kept for a file that has not come."""
        with self._changed:
            self._reserved -= size

    def add(self, name: str, received: Path, reserved: int = 0) -> None:
        """Hand a file over, which was sent to a :meth:`place`; it is taken in soon after.

        Args:
            name: As its sender calls it.
            received: The file.
            reserved: Bytes that :meth:`reserve` kept for it.
        """
        size = received.stat().st_size
        with self._changed:
            self._reserved -= reserved
            self._arrived += 1
            self._waiting += 1
            self._heard = time.monotonic()
            self._queued += size
            self._queue.put((name, received))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="medanomaly-intake", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def _held(self) -> int:
        # Of the file at work what it holds is counted once, though it waits and is being taken in: a zip by the larger.
        unpacked = self._intake.used - self._settled
        return self._settled + max(unpacked - self._at_work, 0) + self._queued + self._reserved

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
            size = self._at_work = received.stat().st_size
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
                self._at_work, self._settled = 0, self._intake.used
                self._changed.notify_all()

    def _came(self, one: Accepted | Refused) -> None:
        with self._changed:
            if isinstance(one, Accepted):
                self.accepted.append(one)
            else:
                self.refused.append(one)
            self._changed.notify_all()
