"""Run the page's heavy work in a few background threads, within a memory bound, each piece once."""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

#: Bytes that large images at work may take together; an image that needs more is worked on alone.
BUDGET = 400 * 2**20
#: Work below this is never made to wait: threads are few.
_LIGHT = 64 * 2**20

#: Who comes first where there is a queue: the image that is looked at, scoring, what is read ahead, thumbnails.
LOOKED_AT, SCORING, AHEAD, THUMBNAILS = range(4)


class Budget:
    """A semaphore over bytes, with a queue in which the more urgent come first.

    Args:
        size: Bytes that may be held at once. Who asks for more waits until it holds all alone.
    """

    def __init__(self, size: int = BUDGET) -> None:
        self._size, self._held = size, 0
        self._own = threading.local()
        self._changed = threading.Condition()
        self._queue: list[tuple[int, int]] = []
        self._tickets = count()

    @contextmanager
    def urgent(self, urgency: int) -> Iterator[None]:
        """What this thread holds within a with-block is so urgent; by default as urgent as scoring."""
        before = getattr(self._own, "urgency", SCORING)
        self._own.urgency = urgency
        try:
            yield
        finally:
            self._own.urgency = before

    @contextmanager
    def hold(self, cost: int) -> Iterator[None]:
        """Hold ``cost`` bytes within a with-block; waits until they are free.

        Who holds already is let through: he waits for no one, so none waits for him without end.
        """
        if cost < _LIGHT or getattr(self._own, "holds", False):
            yield
            return
        cost = min(cost, self._size)
        ticket = (getattr(self._own, "urgency", SCORING), next(self._tickets))
        with self._changed:
            heapq.heappush(self._queue, ticket)
            self._changed.wait_for(lambda: self._queue[0] == ticket and self._held + cost <= self._size)
            heapq.heappop(self._queue)
            self._held += cost
            self._changed.notify_all()
        self._own.holds = True
        try:
            yield
        finally:
            self._own.holds = False
            with self._changed:
                self._held -= cost
                self._changed.notify_all()


#: That of the process: scoring and pictures share it.
budget = Budget()


class Shelf:
    """What was made, kept as long as it fits; what was used least lately goes first.

    Args:
        size: Bytes kept at most. A piece larger than a half of it is not kept.
    """

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """A kept piece; None if it is not there."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, piece: Any, size: int) -> None:
        """Keep a piece, with its size in bytes."""
        if size > self._size // 2:
            return
        with self._lock:
            if key in self._kept:
                self._used -= self._kept.pop(key)[1]
            self._kept[key] = (piece, size)
            self._used += size
            while self._used > self._size:
                self._used -= self._kept.popitem(last=False)[1][1]

    def forget(self, which: Callable[[Any], bool]) -> None:
        """Let go of all pieces whose key passes a test."""
        with self._lock:
            for key in [key for key in self._kept if which(key)]:
                self._used -= self._kept.pop(key)[1]


def _made(make: Callable[[], Any], urgency: int) -> Any:
    with budget.urgent(urgency):
        return make()


class Work:
    """Threads for pictures: two for what is looked at and read ahead, one for thumbnails.

    Two requests for the same piece share one piece of work.
    """

    def __init__(self) -> None:
        self._near = ThreadPoolExecutor(2, "medanomaly-picture")
        self._far = ThreadPoolExecutor(1, "medanomaly-thumbnail")
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future] = {}

    def ask(self, key: Hashable, make: Callable[[], Any], urgency: int = LOOKED_AT) -> Future:
        """A future of what ``make`` returns; of the running one, if the same key is being made."""
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return running
            pool = self._far if urgency == THUMBNAILS else self._near
            future = pool.submit(_made, make, urgency)
            self._running[key] = future
        future.add_done_callback(lambda _: self._done(key))
        return future

    def _done(self, key: Hashable) -> None:
        with self._lock, suppress(KeyError):
            del self._running[key]

    def close(self) -> None:
        """Take nothing more on; what was not begun is dropped."""
        self._near.shutdown(wait=False, cancel_futures=True)
        self._far.shutdown(wait=False, cancel_futures=True)
