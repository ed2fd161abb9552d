"""Two writers never share a folder: one is refused, by name, and no record is lost."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.edge.batch.test_infer_inputs import start, wait_for_records
from tests.edge.conftest import draw_bundle, records

from medanomaly.cli import main
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.edge.batch.output_errors import OutputError
from medanomaly.edge.batch.records import Records, sole_writer
from medanomaly.edge.bundle import Bundle
from medanomaly.folder_lock import LOCK, WRITER, OneWriterError, only_writer


@pytest.fixture
def first(drawn_bundle, greys, tmp_path):
    """A process that watches a folder and has written its 24 records."""
    process = start(drawn_bundle, "--watch", Path(greys[0]).parent, "--settle", "0", "--out", tmp_path / "out")
    wait_for_records(tmp_path / "out", 24, process)
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_by_name_whatever_it_asks_and_however_out_is_called(
    drawn_bundle, greys, tmp_path, first, capsys, monkeypatch
):
    out, before = tmp_path / "out", (tmp_path / "out" / "results.jsonl").read_bytes()
    (tmp_path / "link").symlink_to(out)
    monkeypatch.chdir(tmp_path)
    ways = [out, tmp_path / "link", "out", "link/../out", tmp_path / "." / "out" / ""]
    for way, more in [*((way, []) for way in ways), (out, ["--resume"]), (out, ["--watch", "greys"])]:
        assert main(["infer", str(drawn_bundle), greys[0], "--out", str(way), *more]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"medanomaly: {way}: process {first.pid} on "), error
        assert error.endswith("name another folder for the results.\n")
        assert error.count("\n") == 1
    assert (out / "results.jsonl").read_bytes() == before
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert not list(out.glob(".*")), "something stays after an orderly end"
    assert infer(drawn_bundle, greys, out, Options(resume=True)).before == 24


def test_what_a_killed_process_leaves_blocks_nobody_and_is_no_input(drawn_bundle, greys, tmp_path, first):
    out = tmp_path / "out"
    first.kill()
    first.communicate()
    assert {LOCK, WRITER} <= {path.name for path in out.iterdir()}
    assert infer(drawn_bundle, greys[:2], out, Options(resume=True)).before == 24
    (out / LOCK).write_text("")
    (out / WRITER).write_text("")
    # The results lie in the very folder that is searched: nothing of the lock is counted.
    summary = infer(drawn_bundle, [Path(greys[0]).parent], Path(greys[0]).parent)
    assert (summary.scored, bool(summary.passed)) == (24, False)


def test_two_threads_of_one_process(drawn_bundle, greys, tmp_path):
    outcomes: list[object] = []
    ready = threading.Barrier(2)

    def run() -> None:
        ready.wait()
        try:
            outcomes.append(infer(drawn_bundle, greys * 10, tmp_path / "out").scored)
        except OneWriterError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refused) == 1, outcomes
    assert f"process {os.getpid()} on" in refused[0]
    assert [record["input"] for record in records(tmp_path / "out")] == greys * 10


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said(drawn_bundle, greys, tmp_path, monkeypatch, capsys, number):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'out'}: lies on a file system without locks ({os.strerror(number)}" in error
    assert "Name a folder on another disk" in error


def test_a_folder_that_cannot_be_written_is_no_lock_of_another(drawn_bundle, greys, tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("fcntl.flock", refuse)
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out")]) == 2
    assert "cannot be written (Read-only file system" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"\xff\0",
        b"[" * 4000,
        b'{"pid": "no", "host": "h", "since": "2026-01-01T00:00:00+00:00"}',
        json.dumps({"pid": 7, "host": "[red]\x1b[2J\nmedanomaly: done", "since": "2026-01-01T00:00:00+00:00"}).encode(),
        None,
    ],
)
def test_what_the_other_process_says_is_text(tmp_path, monkeypatch, said):
    monkeypatch.setattr("medanomaly.folder_lock._PATIENCE", 0.0)
    with only_writer(tmp_path):
        (tmp_path / WRITER).unlink()
        if said is None:
            (tmp_path / WRITER).symlink_to("/dev/zero")
        else:
            (tmp_path / WRITER).write_bytes(said)
        with pytest.raises(OneWriterError) as error, only_writer(tmp_path):
            pass
    text = str(error.value)
    assert ("another process writes" in text) == (said is None or b"red" not in said)
    assert text.isprintable()


def test_the_lock_is_no_link_that_is_followed(drawn_bundle, greys, tmp_path, capsys):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    for name in (LOCK, WRITER, f"{WRITER}.part"):
        (tmp_path / "out" / name).symlink_to(tmp_path / "precious")
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out")]) == 2
    assert LOCK in capsys.readouterr().err
    (tmp_path / "out" / LOCK).unlink()
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("how", ["append", "replace", "empty", "remove"])
def test_a_writer_that_asks_for_no_lock_is_noticed_before_a_record_is_lost(drawn_bundle, tmp_path, how):
    bundle, out = Bundle.open(drawn_bundle), tmp_path / "out"
    with sole_writer(out, bundle, (), False), Records(out, bundle, False, ()) as written:
        written.append({"input": "a", "status": "ok"})
        if how == "append":
            with written.path.open("ab") as other:
                other.write(b'{"input": "b", "status": "ok"}\n')
        elif how == "replace":
            (tmp_path / "new").write_bytes(written.path.read_bytes())
            (tmp_path / "new").replace(written.path)
        elif how == "empty":
            os.truncate(written.path, 0)
        else:
            written.path.unlink()
        there = written.path.read_bytes() if written.path.exists() else None
        with pytest.raises(OutputError, match="another process|No such file") as error:
            written.append({"input": "c", "status": "ok"})
        assert error.value.filename == str(written.path)
        assert (written.path.read_bytes() if written.path.exists() else None) == there


def test_a_run_whose_folder_is_taken_away_does_not_end_well(drawn_bundle, greys, tmp_path, first):
    (tmp_path / "out" / "results.jsonl").unlink()
    first.send_signal(signal.SIGTERM)
    _, error = first.communicate(timeout=60)
    assert first.returncode == 2
    assert "results.jsonl: cannot be written" in error


def test_two_decides_on_one_bundle_do_not_lose_a_change(tmp_path, capsys):
    bundle = draw_bundle(tmp_path / "bundle")
    card = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps({"results": {"image": {}}, "caveats": [], **card}))
    before = (bundle / "card.json").read_bytes()
    with only_writer(bundle):
        assert main(["decide", str(bundle), "--rule", "manual:0.3"]) == 2
    assert f"{bundle}: process {os.getpid()} on " in capsys.readouterr().err
    assert (bundle / "card.json").read_bytes() == before


def test_the_lock_is_light():
    code = """
import sys
import medanomaly.edge.batch.infer_inputs, medanomaly.folder_lock, medanomaly.imaging
print(sorted({"torch", "anomalib", "pandas", "asyncio", "filelock"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "torch" not in done.stdout
    assert "filelock" not in done.stdout, done.stderr
