"""``medanomaly infer --watch``: a file that was incomplete when it first stood still is tried again."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.batch.test_infer_inputs import start, wait_for_records
from tests.edge.conftest import records

from medanomaly.edge import Failure
from medanomaly.edge.batch.anonymous import Anonymous
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.signals import StopSignal

#: Looks between which a file must not change, and until its failure is its record.
SETTLE, LONG = 4, 40


class Looks(StopSignal):
    """A watch of one look a second, on a clock of its own, that does something before some of them.

    Args:
        steps: What is done before which look.
        number: Looks in all.
    """

    def __init__(self, steps: dict, number: int) -> None:
        super().__init__()
        self.steps, self.number, self.now = steps, number, 0

    def wait(self, seconds: float) -> bool:
        self.now += 1
        self.steps.get(self.now, lambda: None)()
        return self.now >= self.number

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def png(tmp_path):
    return write_image(
        tmp_path / "one.png", np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    ).read_bytes()


@pytest.fixture(params=[False, True], ids=["by path", "anonymous"])
def watch(request, drawn_bundle, folder, tmp_path, monkeypatch):
    """Run a watch; returns its summary and the records as pairs of name and status, by path and with ``--anonymous``."""
    paths = {}
    if request.param:
        alias = Anonymous.alias

        def noted(names: Anonymous, path: str) -> str:
            return paths.setdefault(alias(names, path), path) and alias(names, path)

        monkeypatch.setattr(Anonymous, "alias", noted)

    def run(steps: dict, number: int = 3 * LONG, inputs=(), **options):
        looks = Looks(steps, number)
        with monkeypatch.context() as patch:
            patch.setattr("medanomaly.edge.batch.watch.time", looks)
            if request.param:
                options |= {"anonymous": True, "anonymous_key": tmp_path / "key"}
            summary = infer(
                drawn_bundle, inputs, tmp_path / "out", Options(watch=folder, settle=SETTLE, **options), looks
            )
        found = [(record["input"], record["status"]) for record in records(tmp_path / "out")]
        return summary, [(Path(paths[name] if paths else name).name, status) for name, status in found]

    return run


def writes(path: Path, data: bytes):
    def write() -> None:
        path.write_bytes(data)
        # Of two contents within a tick of the file system's clock the time would be one.
        os.utime(path, ns=(time.time_ns(), time.time_ns() + len(data)))

    return write


def test_a_writer_that_pauses_gives_one_record(watch, folder, png):
    a = folder / "a.png"
    summary, found = watch({1: writes(a, png[:200]), 20: writes(a, png)})
    assert found == [("a.png", "ok")]
    assert (summary.scored, summary.failed) == (1, 0)


def test_a_writer_that_pauses_for_long_gives_a_second_record(watch, folder, png):
    a = folder / "a.png"
    summary, found = watch({1: writes(a, png[:200]), 60: writes(a, png), 90: writes(a, png[:10])})
    assert found == [("a.png", "failed"), ("a.png", "ok")]
    assert (summary.scored, summary.failed, summary.reasons) == (1, 0, [])
    assert "0 failed" in summary.sentence()


def test_a_bad_file_has_one_record_however_often_it_changes(watch, folder):
    steps = {look: writes(folder / "a.png", b"x" * look) for look in range(1, 240, 60)}
    summary, found = watch(steps, 300)
    assert found == [("a.png", "failed")]
    assert summary.failed == 1


def test_a_bad_file_that_changes_till_the_end_has_its_record(watch, folder):
    steps = {look: writes(folder / "a.png", b"x" * look) for look in range(1, 100, 6)}
    assert watch(steps, 100)[1] == [("a.png", "failed")]


@pytest.mark.parametrize("gone", [10, 60])
def test_a_bad_file_that_is_taken_away_and_comes_again(watch, folder, png, gone):
    a = folder / "a.png"
    steps = {1: writes(a, b"x"), gone: a.unlink, gone + 5: writes(a, png)}
    assert watch(steps)[1] == [("a.png", "failed"), ("a.png", "ok")]


def test_a_bad_file_that_is_renamed_over(watch, folder, png, tmp_path):
    a = folder / "a.png"
    (tmp_path / "new").write_bytes(png)
    steps = {1: writes(a, png[:300]), 60: lambda: (tmp_path / "new").rename(a)}
    assert watch(steps)[1] == [("a.png", "failed"), ("a.png", "ok")]


def test_links_that_lead_nowhere_back_or_out_are_tried_again(watch, folder, png, tmp_path):
    target, late, loop, out = (folder / f"{name}.png" for name in ("target", "late", "loop", "out"))
    late.symlink_to(target)
    loop.symlink_to(loop)
    (tmp_path / "secret.png").write_bytes(png)
    out.symlink_to(tmp_path / "secret.png")

    def mend() -> None:
        for path in (loop, out):
            path.unlink()
            writes(path, png)()
        writes(target, png)()

    summary, found = watch({80: mend}, 140)
    failed = [name for name, status in found if status == "failed"]
    good = [name for name, status in found if status == "ok"]
    assert sorted(failed) == ["late.png", "loop.png", "out.png"]
    assert sorted(good) == ["late.png", "loop.png", "out.png", "target.png"]
    assert summary.failed == 0


def test_what_is_no_file_is_one_record_and_does_not_hang(watch, folder):
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.mp4")
    _, found = watch({}, 140)
    assert sorted(found) == [("pipe.mp4", "failed"), ("pipe.png", "failed")]


@pytest.mark.parametrize("stop_at", [20, 60])
@pytest.mark.parametrize("mended", [True, False])
def test_a_resumed_watch_tries_what_failed_once_more(watch, folder, png, stop_at, mended):
    """Stopped while the failure waits, and after it was recorded."""
    a, b = folder / "a.png", folder / "b.png"
    _, found = watch({1: writes(a, png[:200]), 2: writes(b, png)}, stop_at)
    assert Counter(found) == Counter([("a.png", "failed"), ("b.png", "ok")])
    if mended:
        writes(a, png)()
    for _ in range(2):
        summary, found = watch({}, resume=True)
        assert Counter(found) == Counter([("a.png", "failed"), ("b.png", "ok"), *[("a.png", "ok")] * mended])
        assert summary.failed == 0
        assert summary.failed_before == (0 if mended else 1)


def test_a_failure_among_the_inputs_is_not_held_back(watch, folder, png, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    _, found = watch({1: writes(folder / "a.png", png)}, inputs=[tmp_path / "bad.png", tmp_path / "none.png"])
    assert found == [("bad.png", "failed"), ("none.png", "failed"), ("a.png", "ok")]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("share", [0.1, 0.7])
def test_a_video_that_broke_off_goes_on_where_it_did(watch, folder, tmp_path, every, share):
    """Cut within its header, and later."""
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (48, 32))
    for number in range(50):
        writer.write(np.full((32, 48, 3), 5 * number, np.uint8))
    writer.release()
    whole = (tmp_path / "v.avi").read_bytes()
    v = folder / "v.avi"
    steps = {1: writes(v, whole[: int(len(whole) * share)]), 60: writes(v, whole)}
    summary, found = watch(steps, every=every)
    good = [name for name, status in found if status == "ok"]
    assert good == [f"v.avi#frame={number}" for number in range(1, 51, every)]
    assert [status for _, status in found].count("failed") == 1
    assert summary.failed == 0
    (table,) = (tmp_path / "out" / "timelines").glob("*.csv")
    rows = [row.split(",") for row in table.read_text().splitlines()[1:]]
    assert [int(row[0]) for row in rows] == list(range(1, 51, every))
    assert {row[-1] for row in rows} == {"ok"}
    assert watch({}, resume=True, every=every)[1] == found


def test_a_pause_longer_than_settle_with_a_real_process(drawn_bundle, folder, png, tmp_path):
    """Killed while a failure waits, and gone on with; then a bad file has its record, is mended, and has another."""
    a, b, out = folder / "a.png", folder / "b.png", tmp_path / "out"
    options = ("--watch", folder, "--settle", "0.2", "--out", out, "--resume")
    a.write_bytes(png[:300])
    process = start(drawn_bundle, *options)
    while not (out / "results.jsonl").exists():
        time.sleep(0.02)
    time.sleep(0.7)
    process.kill()
    process.communicate(timeout=60)
    assert records(out) == []
    process = start(drawn_bundle, *options)
    time.sleep(1.5)
    a.write_bytes(png)
    wait_for_records(out, 1, process)
    b.write_bytes(png[:300])
    wait_for_records(out, 2, process)
    b.write_bytes(png)
    wait_for_records(out, 3, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    found = [(Path(record["input"]).name, record["status"]) for record in records(out)]
    assert found == [("a.png", "ok"), ("b.png", "failed"), ("b.png", "ok")]
    assert "2 scored, " in said
    assert " 0 failed" in said


def test_failures_are_told_apart_by_the_file_that_they_are_of():
    from medanomaly.edge.batch.watch_retries import Tries

    tries = Tries()
    tries.hand("a#frame=3.png")
    assert not tries.takes(Failure("a#frame=3.png", "bad"))
    assert tries.takes(Failure("other.png", "bad"))
    tries.looked()
    assert [failure.input for failure in tries.rest()] == ["a#frame=3.png"]
