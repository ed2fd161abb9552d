"""``medanomaly infer --ray``: the records of a plain run, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.batch.test_infer_inputs import slow_folder, start, wait_for_records
from tests.edge.conftest import records

from medanomaly.cli import main


@pytest.fixture
def ray(monkeypatch):
    return pytest.importorskip("ray.data", reason="Ray is not installed: pip install 'medanomaly[ray]'")


def without_time(out: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records(out)]


@pytest.mark.parametrize("args", [["--watch", "."], []])
def test_refused_in_one_message(drawn_bundle, greys, tmp_path, monkeypatch, capsys, args):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["infer", str(drawn_bundle), greys[0], *args, "--out", "out", "--ray", "local"]) == 2
    assert ("cannot be used with --watch" if args else "pip install 'medanomaly[ray]'") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_records_and_pictures_are_those_of_a_plain_run(ray, drawn_bundle, tmp_path, monkeypatch):
    from medanomaly_phantom.drawing import draw

    monkeypatch.chdir(tmp_path)
    for i in range(60):
        write_image(tmp_path / "in" / f"{i:02d}.png", draw(i, i % 2 == 0, 48)[0])
    for i in (3, 31, 59):
        (tmp_path / "in" / f"{i:02d}.png").write_bytes(b"\x89PNG, but no more")
    write_image(tmp_path / "in" / "white.png", np.full((20, 20, 3), 255, np.uint8))
    odd = os.fsdecode(b"in/na\xffme.png")
    Path(odd).write_bytes(Path("in/white.png").read_bytes())
    inputs = ["in", "missing.png", "in/00.png", "nothing*.png"]
    options = ["--masks", "flagged", "--maps", "all"]
    assert main(["infer", str(drawn_bundle), *inputs, *options, "--out", "plain"]) == 1
    assert main(["infer", str(drawn_bundle), *inputs, *options, "--out", "ray", "--ray", "local"]) == 1
    assert without_time(tmp_path / "ray") == without_time(tmp_path / "plain")
    files = sorted(path.relative_to("plain") for path in Path("plain").rglob("*.png"))
    assert sorted(path.relative_to("ray") for path in Path("ray").rglob("*.png")) == files
    assert all((Path("ray") / file).read_bytes() == (Path("plain") / file).read_bytes() for file in files)

    lines = Path("plain/results.jsonl").read_bytes().splitlines(keepends=True)
    Path("ray/results.jsonl").write_bytes(b"".join(lines[:17]) + lines[17][:9])
    assert main(["infer", str(drawn_bundle), *inputs, *options, "--out", "ray", "--ray", "local", "--resume"]) == 1
    assert without_time(tmp_path / "ray") == without_time(tmp_path / "plain")

    Path("study.avi").write_bytes(b"no video")
    assert main(["infer", str(drawn_bundle), "study.avi", "--out", "video", "--ray", "local"]) == 2


def actors() -> list[int]:
    """Process numbers of our actors, by the title that Ray gives them."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "ray::" in line and "Scorer" in line]


@pytest.mark.slow
def test_a_killed_worker_costs_no_record(ray, drawn_bundle, tmp_path):
    folder, out = slow_folder(tmp_path / "in", 300), tmp_path / "out"
    (folder / "0050.png").unlink()
    (folder / "0050.png").write_text("I am no picture")
    before = actors()
    process = start(drawn_bundle, folder, "--out", out, "--overlays", "none", "--ray", "local")
    wait_for_records(out, 10, process)
    mine = [pid for pid in actors() if pid not in before]
    assert mine, "no actor of ours was found"
    os.kill(mine[0], signal.SIGKILL)
    at_kill = len(records(out))
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1, error
    assert at_kill < 300, "the kill came too late to tell anything"
    assert [record["input"] for record in records(out)] == [str(folder / f"{i:04d}.png") for i in range(300)]
    assert [record["input"][-8:] for record in records(out) if record["status"] == "failed"] == ["0050.png"]


@pytest.mark.slow
def test_a_signal_ends_it_with_whole_records(ray, drawn_bundle, tmp_path):
    folder, out = slow_folder(tmp_path / "in", 300), tmp_path / "out"
    process = start(drawn_bundle, folder, "--out", out, "--overlays", "none", "--ray", "local")
    wait_for_records(out, 3, process)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 143, error
    assert time.monotonic() - begun < 60
    assert all(json.dumps(record) for record in records(out))
    assert 3 <= len(records(out)) < 300
