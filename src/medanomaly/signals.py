"""Stop on a signal between two records, not within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """A signal asked for the end while nothing was being written, or asked twice.

    Args:
        signum: The signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum


class StopSignal:
    """Whether a signal has asked for the end.

    Attributes:
        signum: The signal; None so far.
        deferred: Whether the signal only sets ``signum``, for the loop that writes to see; else it raises
            :class:`Stopped` where the program is. A second signal always does.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.deferred = False
        self._event = threading.Event()

    def __call__(self, signum: int, _frame: Any = None) -> None:
        """Take a signal."""
        again, self.signum = self.signum is not None, signum
        self._event.set()
        if again or not self.deferred:
            raise Stopped(signum)

    def wait(self, seconds: float) -> bool:
        """Sleep, unless asked for the end before; returns whether it was."""
        return self._event.wait(seconds)


@contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """A :class:`StopSignal` that takes SIGINT and SIGTERM; outside the main thread none can reach it."""
    stop, before = StopSignal(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
