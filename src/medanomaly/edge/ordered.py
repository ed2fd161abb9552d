"""Work on a stream in threads: order kept, bounded, and nothing left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")


def ordered(
    source: Iterable[Any], work: Callable[[Any], Outcome], workers: int, ahead: int
) -> Generator[Outcome | None, None, None]:
    """``map(work, source)`` in threads.

    The source is drawn from in the caller's thread, when the next outcome is asked for. When the caller stops early,
    what has not begun is dropped, what has is waited for, and the source is closed.

    Args:
        source: Items; None says that there is nothing at the moment: what is waiting is then finished, and None
            handed on, so that a source that waits for files holds nothing back.
        work: Called in a thread; should not raise.
        workers: Threads.
        ahead: At most so many items are drawn and not yet handed out as outcomes.
    """
    waiting: deque[Future[Outcome]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="medanomaly")
    items = iter(source)
    try:
        for item in items:
            if item is not None:
                waiting.append(pool.submit(work, item))
            while waiting and (item is None or len(waiting) >= ahead or waiting[0].done()):
                yield waiting.popleft().result()
            if item is None:
                yield None
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        close = getattr(items, "close", None)
        if close is not None:
            close()
