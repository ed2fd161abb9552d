"""Groups of a stream: as large as the time allows, in order, and within the bound."""

from __future__ import annotations

import threading

import pytest

from medanomaly.edge.ordered_pool import ordered_map


class Work:
    """Hands items on as they are, and remembers the groups; waits while it is told to."""

    def __init__(self, free: bool = True) -> None:
        self.groups: list[list[int]] = []
        self.gate = threading.Event()
        if free:
            self.gate.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.gate.wait(10)
        self.groups.append(list(items))
        return list(items)


@pytest.mark.parametrize(("workers", "ahead", "group"), [(1, 1, 1), (2, 32, 8), (3, 7, 2), (2, 100, 50)])
def test_order_is_kept_and_nothing_is_lost(workers, ahead, group):
    work = Work()
    assert list(ordered_map(range(500), work, workers, ahead, group)) == list(range(500))
    assert max(map(len, work.groups)) <= group


def test_a_free_thread_gets_an_item_at_once_and_busy_ones_a_group():
    work, drawn = Work(free=False), []

    def source():
        for item in range(9):
            drawn.append(item)
            if item == 8:
                work.gate.set()
            yield item

    assert list(ordered_map(source(), work, 1, 100, 4)) == list(range(9))
    assert sorted(work.groups) == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]


def test_no_more_is_held_than_ahead():
    drawn = 0

    def source():
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    outcomes = ordered_map(source(), Work(), 2, 20, 5)
    for handed in range(1, 200):
        assert next(outcomes) == handed
        assert drawn - handed < 20
    outcomes.close()


def test_a_large_item_is_a_group_alone_and_counts_as_one():
    work, drawn = Work(), 0

    def source():
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    outcomes = ordered_map(source(), work, 2, 16, 4, large=lambda item: True)
    for handed in range(1, 50):
        assert next(outcomes) == handed
        assert drawn - handed < 4
    outcomes.close()
    assert all(len(group) == 1 for group in work.groups)


def test_nothing_for_now_brings_out_a_group_that_is_not_full():
    assert list(ordered_map([1, 2, 3, None, 4], Work(), 1, 100, 50)) == [1, 2, 3, None, 4]
