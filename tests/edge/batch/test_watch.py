"""``medanomaly infer --watch``: each file once, when it is complete."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.batch.test_infer_inputs import start, wait_for_records
from tests.edge.conftest import records

from medanomaly.edge import Failure
from medanomaly.edge.batch.infer_inputs import SUFFIXES
from medanomaly.edge.batch.watch import arrivals


class Looks:
    """A clock of its own, and a ``wait`` that does something before each look and ends after the last."""

    def __init__(self, *steps) -> None:
        self.steps, self.now = list(steps), 0.0

    def __call__(self, seconds: float) -> bool:
        if not self.steps:
            return True
        self.steps.pop(0)()
        self.now += seconds
        return False

    def monotonic(self) -> float:
        return self.now


def nothing() -> None:
    pass


@pytest.fixture
def watched(monkeypatch):
    """What comes out, None left out, of looks 0.5 s apart where a file is complete after it stood still for 2 s."""

    def watch(folder: Path, *steps, **options):
        looks = Looks(*steps)
        monkeypatch.setattr("medanomaly.edge.batch.watch.time", looks)
        return (item for item in arrivals(folder, SUFFIXES, 2.0, 0.5, looks, **options) if item is not None)

    return watch


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_file_in_two_halves_comes_once_and_whole(folder, watched):
    data = b"x" * 100
    path = folder / "a.png"

    def write(half: bytes):
        return lambda: path.write_bytes((path.read_bytes() if path.exists() else b"") + half)

    steps = [write(data[:50]), *[nothing] * 3, write(data[50:]), *[nothing] * 8, write(b"later"), *[nothing] * 8]
    sizes = [(item, path.stat().st_size) for item in watched(folder, *steps)]
    assert sizes == [(str(path), 100)]


def test_hidden_and_unfinished_names_wait_for_the_rename(folder, watched):
    def rename() -> None:
        (folder / ".a.png").rename(folder / "a.png")
        (folder / "b.png.part").rename(folder / "b.png")

    (folder / ".a.png").write_bytes(b"x")
    (folder / "b.png.part").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    assert list(watched(folder, *[nothing] * 8)) == []
    assert list(watched(folder, rename, *[nothing] * 8)) == [str(folder / "a.png"), str(folder / "b.png")]


def test_links_out_of_the_folder_are_failures_and_results_are_left_out(folder, tmp_path, watched):
    write_image(tmp_path / "secret.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "elsewhere").mkdir()
    write_image(tmp_path / "elsewhere" / "x.png", np.zeros((4, 4), np.uint8))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    (folder / "out").mkdir()
    (folder / "out" / "overlay.png").write_bytes(b"x")
    (folder / "sub").mkdir()
    (folder / "sub" / "a.png").write_bytes(b"x")
    link, found = watched(folder, *[nothing] * 8, leave_out=folder / "out")
    assert isinstance(link, Failure)
    assert "leads out of the watched folder" in link.error
    assert found == str(folder / "sub" / "a.png")


def test_an_empty_file_waits_longer(folder, watched):
    (folder / "a.png").touch()
    assert list(watched(folder, *[nothing] * 8)) == []
    assert list(watched(folder, *[nothing] * 40)) == [str(folder / "a.png")]


def test_watch_from_start_to_signal(drawn_bundle, folder, greys, tmp_path):
    """A file there before, one that grows, one renamed; SIGTERM; resumed, none is done twice."""
    out = tmp_path / "out"
    data = Path(greys[20]).read_bytes()
    (folder / "first.png").write_bytes(data)
    options = ("--watch", folder, "--settle", "0.8", "--out", out)
    process = start(drawn_bundle, *options)
    wait_for_records(out, 1, process)
    with (folder / "grows.png").open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.1)
        file.write(data[len(data) // 2 :])
    wait_for_records(out, 2, process)
    (folder / "part").write_bytes(data)
    os.rename(folder / "part", folder / "renamed.png")  # noqa: PTH104
    wait_for_records(out, 3, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert [Path(record["input"]).name for record in records(out)] == ["first.png", "grows.png", "renamed.png"]
    assert {record["status"] for record in records(out)} == {"ok"}
    (folder / "more.png").write_bytes(data)
    process = start(drawn_bundle, *options, "--resume")
    wait_for_records(out, 4, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [Path(record["input"]).name for record in records(out)][3:] == ["more.png"]
