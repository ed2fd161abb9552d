"""``medanomaly infer``: what counts as input, what is written, and how it goes on."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle, records

from medanomaly.cli import main
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.edge.batch.inputs import find_inputs
from medanomaly.edge.batch.outputs import Pictures
from medanomaly.edge.batch.records import ResumeError


def start(bundle: Path, *args: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "medanomaly.cli", "infer", str(bundle), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for_records(out: Path, number: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if (out / "results.jsonl").exists() and (out / "results.jsonl").read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {number} records: {process.communicate() if process.poll() is not None else 'too slow'}")


def slow_folder(folder: Path, number: int, side: int = 1500) -> Path:
    """Images that take some milliseconds each to read."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    first = write_image(folder / "0000.png", noise)
    for i in range(1, number):
        os.link(first, folder / f"{i:04d}.png")
    return folder


def test_folders_patterns_and_files_are_inputs_as_given(greys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"greys/{i:02d}.png" for i in range(24)]
    assert list(find_inputs(["greys"])) == names
    assert list(find_inputs(["./greys/0?.png", Path("greys/23.png")])) == [f"./{n}" for n in names[:10]] + names[23:]
    assert list(find_inputs(["**/1*.png"])) == names[10:20]
    (failure,) = find_inputs(["greys/*.jpg"])
    assert "no file matches this pattern" in failure.error
    write_image(tmp_path / "odd[1].png", np.zeros((4, 4), np.uint8))
    assert list(find_inputs(["odd[1].png"])) == ["odd[1].png"]
    assert list(find_inputs(["missing.png"])) == ["missing.png"]


def test_results_among_the_inputs_are_no_inputs(drawn_bundle, greys):
    folder = Path(greys[0]).parent
    for _ in range(2):
        assert main(["infer", str(drawn_bundle), str(folder), "--out", str(folder / "out"), "--overlays", "all"]) == 0
        assert [record["input"] for record in records(folder / "out")] == greys


@pytest.mark.parametrize("mark", [b"\n", b"\r\n", b"\0"])
def test_a_list_on_standard_input(drawn_bundle, greys, tmp_path, monkeypatch, mark):
    listed = mark.join([greys[20].encode(), b"", greys[3].encode(), os.fsencode(tmp_path / "na\udcffme.png")])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(listed)))
    assert main(["infer", str(drawn_bundle), greys[0], "-", "--out", str(tmp_path / "out")]) == 1
    found = records(tmp_path / "out")
    assert [record["input"] for record in found[:3]] == [greys[0], greys[20], greys[3]]
    assert found[3]["input"].endswith("na\udcffme.png")
    assert [record.get("decision") for record in found] == ["normal", "abnormal", "normal", None]
    assert found[0]["seconds"] > 0


def test_masks_and_maps_have_the_original_size(drawn_bundle, greys, tmp_path):
    pictures = Pictures(overlays="none", masks="flagged", maps="all")
    infer(drawn_bundle, greys, tmp_path / "out", Options(pictures=pictures))
    found = records(tmp_path / "out")
    assert [("mask" in record, "map" in record, "overlay" in record) for record in found] == [
        (i >= 13, True, False) for i in range(24)
    ]
    mask = cv2.imread(str(tmp_path / "out" / found[20]["mask"]), cv2.IMREAD_UNCHANGED)
    assert (mask.shape, mask.dtype, mask.min()) == ((20, 24), np.uint8, 255)
    heat = cv2.imread(str(tmp_path / "out" / found[20]["map"]), cv2.IMREAD_UNCHANGED)
    assert (heat.shape, heat.dtype) == ((20, 24), np.uint16)
    np.testing.assert_allclose(heat / 65535, found[20]["score"], atol=2e-5)


@pytest.mark.parametrize("args", [[], ["x.png", "--every", "0"], ["--watch", "nowhere"], ["x", "--threads", "0"]])
def test_wrong_options_are_one_message(drawn_bundle, tmp_path, capsys, args):
    assert main(["infer", str(drawn_bundle), *args, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("medanomaly: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("torn", [b'{"input": "', b'{"input": 1}', b"\0\0\0\n"])
def test_resume_cuts_a_torn_line_and_does_that_input_again(drawn_bundle, greys, tmp_path, torn):
    out = tmp_path / "out"
    inputs = [*greys[:6], "missing.png", greys[0]]
    infer(drawn_bundle, inputs[:5], out)
    kept = (out / "results.jsonl").read_bytes()
    (out / "results.jsonl").write_bytes(kept + torn)
    summary = infer(drawn_bundle, inputs, out, Options(resume=True))
    assert (summary.before, summary.scored, summary.failed) == (5, 2, 1)
    assert (out / "results.jsonl").read_bytes().startswith(kept)
    assert [record["input"] for record in records(out)] == inputs
    again = infer(drawn_bundle, inputs, out, Options(resume=True))
    assert (again.before, again.scored, again.failed) == (8, 0, 0)


def test_resume_with_nothing_there_begins(drawn_bundle, greys, tmp_path):
    assert infer(drawn_bundle, greys[:2], tmp_path / "out", Options(resume=True)).scored == 2
    assert infer(drawn_bundle, greys[:3], tmp_path / "out").scored == 3
    assert len(records(tmp_path / "out")) == 3


def test_resume_refuses_what_another_bundle_wrote(drawn_bundle, greys, tmp_path, capsys):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[:2], out)
    other = draw_bundle(tmp_path / "other")
    card = json.loads((other / "card.json").read_text())
    card["operating_point"]["threshold"] = 0.25
    (other / "card.json").write_text(json.dumps(card))
    before = (out / "results.jsonl").read_bytes()
    assert main(["infer", str(other), *greys, "--out", str(out), "--resume"]) == 2
    assert "another bundle or operating point" in capsys.readouterr().err
    (out / "results.jsonl").write_bytes(b"not mine\n" + before)
    with pytest.raises(ResumeError, match="line 1 is no record"):
        infer(drawn_bundle, greys, out, Options(resume=True))
    (out / "infer.json").unlink()
    with pytest.raises(ResumeError, match="nobody knows"):
        infer(drawn_bundle, greys, out, Options(resume=True))


def test_every_frame_of_a_file_is_resumed_apart(drawn_bundle, tmp_path):
    pages = [np.full((20, 20), 60 * i, np.uint8) for i in range(4)]
    assert cv2.imwritemulti(str(tmp_path / "stack.tif"), pages)
    out = tmp_path / "out"
    infer(drawn_bundle, [tmp_path / "stack.tif"], out)
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:2]))
    infer(drawn_bundle, [tmp_path / "stack.tif"], out, Options(resume=True))
    assert [record["input"].rpartition("#")[2] for record in records(out)] == [f"frame={i}" for i in range(1, 5)]


def test_killed_three_times_every_input_has_one_record(drawn_bundle, tmp_path):
    folder, out = slow_folder(tmp_path / "in", 120), tmp_path / "out"
    (folder / "0050.png").unlink()
    (folder / "0050.png").write_text("I am no picture")
    draw = random.Random(5)
    for reached in (1, 20, 45):
        process = start(drawn_bundle, folder, "--out", out, "--resume", "--overlays", "all", "--no-cache")
        wait_for_records(out, reached, process)
        time.sleep(draw.uniform(0, 0.05))
        process.kill()
        process.communicate()
    assert len(records(out)) < 120, "the kills came too late to tell anything"
    process = start(drawn_bundle, folder, "--out", out, "--resume", "--overlays", "all")
    text, error = process.communicate(timeout=120)
    assert process.returncode == 1, error  # an earlier run's failure counts too
    assert "had a record before" in text
    found = records(out)
    assert [record["input"] for record in found] == [str(folder / f"{i:04d}.png") for i in range(120)]
    assert [record["input"][-8:] for record in found if record["status"] == "failed"] == ["0050.png"]
    assert len({record["overlay"] for record in found if "overlay" in record}) == 119


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_whole_records(drawn_bundle, tmp_path, number):
    folder, out = slow_folder(tmp_path / "in", 150), tmp_path / "out"
    process = start(drawn_bundle, folder, "--out", out)
    wait_for_records(out, 3, process)
    process.send_signal(number)
    text, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert error == f"Stopped by {signal.Signals(number).name}. Go on with --resume.\n"
    found = records(out)
    assert 3 <= len(found) < 150
    assert f"{len(found)} scored" in text


def test_a_signal_while_the_list_is_read(drawn_bundle, tmp_path):
    process = start(drawn_bundle, "-", "--out", tmp_path / "out", stdin=subprocess.PIPE)
    time.sleep(1.0)
    process.terminate()
    assert process.wait(60) in (143, -signal.SIGTERM)  # the second on a machine that had not reached our handler
    process.communicate()


def test_a_full_disk_leaves_whole_records(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    options = ["--out", out, "--overlays", "none", "--no-cache"]
    process = start(drawn_bundle, *greys, *options, preexec_fn=limited)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "cannot be written" in error
    assert "Records written so far are intact" in error
    found = records(out)
    assert 0 < len(found) < 24
    assert infer(drawn_bundle, greys, out, Options(resume=True)).before == len(found)
    assert [record["input"] for record in records(out)] == greys


def test_nothing_heavy_is_imported(drawn_bundle, greys, tmp_path):
    code = f"""
import sys
from medanomaly.cli import main
status = main(["infer", {str(drawn_bundle)!r}, {greys[20]!r}, "--out", {str(tmp_path / "out")!r}])
heavy = {{"torch", "anomalib", "lightning", "scipy", "pandas", "matplotlib", "sklearn"}} & set(sys.modules)
print(status, heavy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr
