"""Standard streams that are closed, not read, full, or of another encoding: the work is done, and the status is right."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

from tests.conftest import write_image
from tests.edge.conftest import draw_bundle

PYTHON = (sys.executable, "-m", "medanomaly.cli")

#: How the shell starts a command for each state of its streams, and the statuses beside the command's own.
STATES = {
    "out closed": (">&-", ()),
    "err closed": ("2>&-", ()),
    "all closed": ("<&- >&- 2>&-", ()),
    "in and err closed": ("<&- 2>&-", ()),
    "out full": (">/dev/full", (1,)),
    "err full": ("2>/dev/full", ()),
    "both full": (">/dev/full 2>&1", (1,)),
    "unread": ("", (141,)),
    "unread, err closed": ("2>&-", (141,)),
    "both unread": ("2>&1", (141,)),
    "out for reading": ("1</dev/null", (1,)),
}
#: Commands that load neither torch nor anomalib, and their status.
LIGHT = {
    "--help": 0,
    "--version": 0,
    "data check --help": 0,
    "plugins list": 0,
    "infer BUNDLE images missing.png --out OUT": 1,
    "verify plain/bundle": 0,
    "verify plain/bundle --json": 0,
    "decide plain/bundle --rule manual:0.5": 0,
    "nonsense": 2,
    "infer BUNDLE": 2,
    "speed nowhere images": 2,
}
HEAVY = {
    "compare plain/run adversarial/run": 0,
    "report plain/run --out report.html": 0,
    "speed BUNDLE images/0.png --repeat 1 --limit 1 --against": 0,
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        return draw_bundle(tmp_path_factory.mktemp("drawn") / "bundle")


@pytest.fixture
def work(tmp_path, unpacked, monkeypatch) -> Path:
    """A folder to work in, whose own ``tmp`` takes the tracebacks that there should be none of."""
    for number in range(3):
        write_image(tmp_path / "images" / f"{number}.png", np.full((20, 24, 3), 100 * number, np.uint8))
    for name in ("plain", "adversarial"):
        shutil.copytree(unpacked / name, tmp_path / name)
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    return tmp_path


def finished(command: tuple[str, ...], redirected: str, unread: bool, timeout: float = 120) -> tuple[int, str]:
    """Status, and what came on standard error or is in files with tracebacks."""
    end, out = os.pipe()
    if unread:
        os.close(end)
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", *command]
    with subprocess.Popen(shell, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE) as process:
        os.close(out)
        if not unread:
            with os.fdopen(end, "rb") as pipe:
                pipe.read()
        _, said = process.communicate(timeout=timeout)
    left = "".join(path.read_text() for path in Path("tmp").glob("traceback-*"))
    return process.returncode, said.decode() + left


def clean(said: str) -> bool:
    return "Traceback" not in said and "Exception ignored" not in said and "Error" not in said


@pytest.mark.parametrize("state", ["all closed", "out full", "unread"])
@pytest.mark.parametrize("command", LIGHT)
def test_light_commands(work, bundle, command, state):
    _has_its_status(bundle, command, LIGHT[command], state)


@pytest.mark.parametrize("state", STATES)
def test_a_batch_in_every_state(work, bundle, state):
    _has_its_status(bundle, "infer BUNDLE images --out OUT", 0, state)
    lines = (work / "OUT" / "results.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok"] * 3


@pytest.mark.parametrize("command", HEAVY)
def test_heavy_commands(work, bundle, command):
    _has_its_status(bundle, command, HEAVY[command], "unread, err closed")


def _has_its_status(bundle: Path, command: str, status: int, state: str) -> None:
    redirected, others = STATES[state]
    words = tuple(command.replace("BUNDLE", str(bundle)).split())
    found, said = finished((*PYTHON, *words), redirected, state.startswith(("unread", "both unread")))
    # Only what is printed can be lost: a wrong option says nothing on standard output.
    printed = others[0] if others and status == 0 else status
    assert found == printed, said
    assert clean(said), said
    if state == "out full" and not status:
        assert said == (
            "medanomaly: standard output cannot be written (No space left on device): some of it is missing.\n"
        )


def test_a_training_outlives_the_reader_of_its_lines(work):
    command = (
        *PYTHON, "train", "--seed", "true", "--model", "Autoencoder", "--model.init_args.stages", "3",
        "--model.init_args.width", "8", "--data", "Phantom", "--data.init_args.root", "frames",
        "--data.init_args.train", "16", "--data.init_args.val", "8", "--data.init_args.test", "8",
        "--data.init_args.image_size", "32", "--trainer.max_epochs", "1", "--default_root_dir", "results",
    )  # fmt: skip
    status, said = finished(command, "2>&-", unread=True, timeout=300)
    assert status == 141, said
    assert (work / "results" / "Autoencoder" / "Phantom" / "latest" / "evidence.json").is_file()


@pytest.mark.skipif(find_spec("streamlit") is None, reason="pip install 'medanomaly[app]'")
def test_the_page_is_served_without_streams(work, bundle):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*PYTHON, "app", str(bundle), "--port", str(port), "--marks", "marks"]
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command])
    try:
        end = time.monotonic() + 60
        while True:
            try:
                assert urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).read() == b"ok"
                break
            except URLError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_list_from_a_closed_stream_is_a_failure_and_the_rest_is_scored(work, bundle):
    command = (*PYTHON, "infer", str(bundle), "-", "images", "--out", "OUT")
    assert finished(command, "<&-", unread=False) == (1, "")
    lines = [json.loads(line) for line in (work / "OUT" / "results.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["failed", "ok", "ok", "ok"]


def test_a_list_that_cannot_be_read_is_one_sentence(work, bundle):
    status, said = finished((*PYTHON, "infer", str(bundle), "-", "--out", "OUT"), "0>nothing", unread=False)
    assert status == 2
    assert "the list on standard input cannot be read" in said


ENCODINGS = {
    "C": {"LANG": "C"},
    "plain C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "ascii, strict": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "utf-8, strict": {"PYTHONIOENCODING": "utf-8:strict"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_that_the_encoding_lacks(work, encoding, monkeypatch):
    """Of the bundle, of inputs, of OUT; one is no text at all, and one is beyond the first plane."""
    for name, value in ENCODINGS[encoding].items():
        monkeypatch.setenv(name, value)
    (work / "plain" / "bundle").rename("bündel 日")
    for name in (b"\xc3\xbc.png", "日本.png".encode(), "😀.png".encode(), b"\xff\xfe.png"):
        Path("images", os.fsdecode(name)).write_bytes(b"no image")
    out = "ausgänge-\udcff"
    Path("images", "0.png").rename("images/ä-\udce9.png")
    command = [*PYTHON, "infer", "bündel 日", "images", "--overlays", "all", "--out", out]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stderr == b""
    lines = Path(out, "results.jsonl").read_bytes().splitlines()
    assert sorted(json.loads(line)["status"] for line in lines) == ["failed"] * 4 + ["ok"] * 3
    assert len(list(Path(out, "overlays").iterdir())) == 3
    # JSON stays JSON, and names what was named.
    done = subprocess.run([*PYTHON, "verify", "bündel 日", "--json"], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    named = json.loads(done.stdout.decode("latin-1" if encoding == "latin-1" else "utf-8"))["bundle"]
    assert named.encode("utf-8", "surrogateescape") == "bündel 日".encode()


def test_a_class_that_the_encoding_lacks(work, monkeypatch):
    """In the tables of ``data check``, and where nothing hears its warnings."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for number, label in enumerate(["normal"] * 12 + ["abnormal/geschwür-日"] * 4):
        grey = np.random.default_rng(number).integers(0, 256, (16, 16), np.uint8)
        write_image(work / "data" / label / f"{number}.png", grey)
    (work / "data.yaml").write_text(
        "data: {class_path: medanomaly.data.Folder, init_args: {root: data, image_size: 16}}\n"
    )
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *PYTHON, "data", "check", "data.yaml"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert b"geschw\\u00fcr-\\u65e5" in done.stdout, done.stdout


def script(code: str, *options: str, **streams) -> subprocess.Popen:
    code = f"import os, sys\nfrom medanomaly.streams import Streams\nstreams = Streams()\n{code}"
    return subprocess.Popen([sys.executable, *options, "-c", code], **streams)


def test_no_file_takes_the_number_of_a_closed_stream(work):
    """What a library writes to descriptor 2 would be in the middle of the records."""
    code = "file = open('file', 'w')\nos.write(1, b'x'), os.write(2, b'x')\nos.system('echo x; echo x >&2')"
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c"]
    code = f"import os\nfrom medanomaly.streams import Streams\nstreams = Streams()\n{code}"
    assert subprocess.run([*command, code], check=False).returncode == 0
    assert Path("file").read_bytes() == b""


def test_a_full_descriptor_that_does_not_block_is_waited_for():
    end, out = os.pipe()
    os.set_blocking(out, False)
    with script("print('x' * 300000)\nsys.exit(streams.status(0))", stdout=out, stderr=subprocess.PIPE) as process:
        os.close(out)
        time.sleep(0.5)
        with os.fdopen(end, "rb") as pipe:
            assert len(pipe.read()) == 300001
        assert process.wait() == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_an_unbuffered_stream_stays_one():
    with script("print('é', end='')\nos._exit(0)", "-u", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "é".encode()


def test_programs_that_a_command_starts_outlive_the_reader(work):
    end, out = os.pipe()
    os.close(end)
    code = "print('x', flush=True)\nassert os.system('echo x; touch done') == 0\nsys.exit(streams.status(0))"
    assert script(code, stdout=out).wait() == 141
    assert Path("done").exists()


def test_streams_of_a_program_that_goes_on_are_put_back(monkeypatch, capsys):
    from medanomaly.cli import main

    monkeypatch.setattr(sys, "stderr", None)
    before = sys.stdin, sys.stdout
    assert main(["plugins", "list"]) == 0
    assert (sys.stdin, sys.stdout, sys.stderr) == (*before, None)
    assert "Autoencoder" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["é", "日", "😀", "\udcff", "a\udcffb😀"])
def test_what_an_encoding_lacks_is_an_escape_of_json(text):
    from medanomaly.streams import Streams

    Streams().restore()
    escaped = text.encode("ascii", "medanomaly-escape").decode()
    assert json.loads(f'"{escaped}"') == text
