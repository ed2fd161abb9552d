"""Map work over a stream in threads: order kept, memory bounded, nothing left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")


def ordered_map(
    source: Iterable[Any],
    work: Callable[[list[Any]], list[Outcome]],
    workers: int,
    ahead: int,
    group: int = 1,
    large: Callable[[Any], bool] = lambda item: False,  # noqa: ARG005
) -> Generator[Outcome | None, None, None]:
    """The outcomes of ``work`` on a source, in its order, worked out in threads by groups of items.

    The source is drawn from in the caller's thread, when the next outcome is asked for. When the caller stops early,
    what has not begun is dropped, what has is waited for, and the source is closed. A group is as large as the time
    allows: while a thread is free, an item waits for no other.

    Args:
        source: Items; None says that there is nothing at the moment: what is waiting is then finished, and None
            handed on, so that a source that waits for files holds nothing back.
        work: A group of items to their outcomes. Called in a thread; should not raise.
        workers: Threads.
        ahead: Largest number of items that are drawn and not yet handed out as outcomes.
        group: Items of a group, at most.
        large: Whether an item takes much memory: it makes a group alone and counts as a full one.
    """
    waiting: deque[tuple[Future[list[Outcome]], int]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="medanomaly")
    begun: list[Any] = []
    items, held = iter(source), 0

    def submit() -> None:
        nonlocal begun
        if begun:
            waiting.append((pool.submit(work, begun), group if large(begun[0]) else len(begun)))
            begun = []

    def first() -> Generator[Outcome, None, None]:
        nonlocal held
        outcomes, weight = waiting.popleft()
        yield from outcomes.result()
        held -= weight

    try:
        for item in items:
            if item is None or large(item):
                submit()
            if item is not None:
                begun.append(item)
                held += group if large(item) else 1
                free = sum(not future.done() for future, _ in waiting) < workers
                if free or large(item) or len(begun) == group:
                    submit()
            while waiting and (item is None or held >= ahead or waiting[0][0].done()):
                yield from first()
            if item is None:
                yield None
        submit()
        while waiting:
            yield from first()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        close = getattr(items, "close", None)
        if close is not None:
            close()
