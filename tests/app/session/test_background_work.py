"""The page's work: within its memory, the urgent first, each piece once."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
from tests.app.conftest import grey
from tests.imaging.dicom_files import write_dicom

from medanomaly.app.session.background_work import AHEAD, LOOKED_AT, SCORING, Budget, Shelf, Work
from medanomaly.app.session.memory_weight import weight

MIB = 2**20


def test_heavy_work_is_done_within_the_budget_and_the_urgent_first():
    budget, held, most = Budget(200 * MIB), 0, 0
    lock, begun = threading.Lock(), threading.Event()

    def heavy(name, urgency, cost=150 * MIB):
        nonlocal held, most
        with budget.urgent(urgency), budget.hold(cost):
            with lock:
                held += 1
                orders.append(name)
                most = max(most, held)
            begun.set()
            time.sleep(0.05)
            with lock:
                held -= 1

    orders: list[str] = []
    threads = [threading.Thread(target=heavy, args=("first", SCORING))]
    threads[0].start()
    begun.wait(5)
    for name, urgency in (("ahead", AHEAD), ("scoring", SCORING), ("looked at", LOOKED_AT)):
        threads.append(threading.Thread(target=heavy, args=(name, urgency)))
        threads[-1].start()
    time.sleep(0.02)
    for thread in threads:
        thread.join(5)
    assert most == 1
    assert orders == ["first", "looked at", "scoring", "ahead"]


def test_what_is_larger_than_the_budget_is_done_alone_and_light_work_never_waits():
    budget = Budget(100 * MIB)
    with budget.hold(1000 * MIB):
        done = threading.Event()

        def light():
            with budget.hold(MIB):
                done.set()

        threading.Thread(target=light).start()
        assert done.wait(5)
        with budget.hold(500 * MIB):  # who holds already does not wait for himself
            pass
    with budget.hold(100 * MIB):
        pass


def test_a_shelf_keeps_what_was_used_last():
    shelf = Shelf(100)
    for name in "abc":
        shelf.put((name,), name, 30)
    assert shelf.get(("a",)) == "a"
    shelf.put(("d",), "d", 30)
    assert [shelf.get((name,)) for name in "abcd"] == ["a", None, "c", "d"]
    shelf.put(("e",), "e", 60)
    assert shelf.get(("e",)) is None
    shelf.forget(lambda key: key[0] == "a")
    assert shelf.get(("a",)) is None


def test_the_same_piece_is_made_once_for_all_who_ask_meanwhile():
    work, made = Work(), []
    make = lambda: made.append(1) or time.sleep(0.1) or len(made)  # noqa: E731
    asked = [work.ask("key", make) for _ in range(5)]
    assert [one.result(5) for one in asked] == [1] * 5
    assert work.ask("key", make).result(5) == 2
    work.close()


def test_the_weight_of_an_image_is_told_by_its_header(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((100, 300), np.uint8))
    assert weight(str(grey(tmp_path / "a.png", 9, (100, 300)))) == 100 * 300 * 8
    assert weight(str(tmp_path / "grey.png")) == 100 * 300 * 5
    assert weight(str(grey(tmp_path / "a.jpg", 9, (100, 300)))) == 100 * 300 * 8
    write_dicom(tmp_path / "a.dcm", np.zeros((3, 40, 50), np.uint16), 16, NumberOfFrames=3)
    assert weight(f"{tmp_path / 'a.dcm'}#frame=2") == 40 * 50 * 5
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert weight(str(tmp_path / "no.png")) == 0
    assert weight(str(tmp_path / "missing.png")) == 0
