"""A wrong value of one of our own commands is one line and status 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medanomaly.cli import main


@pytest.fixture
def told(tmp_path, monkeypatch, capsys, tiny_run, tiny_bundle):
    """Run a command; RUN, BUNDLE, FILE, DIR and IMAGE stand for paths. Returns the one line on standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    (tmp_path / "latin.csv").write_bytes(b"raw_score,abnormal\n\xff,1\n")
    (tmp_path / "less.csv").write_text("path,label\n")
    image = next((tiny_run.parents[3] / "frames").rglob("test-normal-*.png"))
    paths = {"RUN": tiny_run, "BUNDLE": tiny_bundle, "FILE": "file", "DIR": "dir", "IMAGE": image}

    def run(words: str) -> str:
        for name, path in paths.items():
            words = words.replace(name, str(path))
        try:
            status = main(words.split())
        except SystemExit as stop:
            status = stop.code
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1, err
        assert status == 2
        assert "Traceback" not in err
        return err

    return run


CASES = {
    # A bad number.
    "infer BUNDLE IMAGE --out o --every 0": "--every 0: must be a whole number, at least 1",
    "infer BUNDLE IMAGE --out o --threads two": "--threads two: must be a whole number, at least 1",
    "infer BUNDLE DIR --out o --settle nan": "--settle nan: must be a number, at least 0",
    "speed BUNDLE IMAGE --repeat 0": "--repeat 0: must be",
    "speed BUNDLE IMAGE --limit -3": "--limit -3: must be",
    "export --run RUN --out o --parity-images 0": "--parity-images 0: must be",
    "export --run RUN --out o --accuracy-drop nan": "--accuracy-drop nan: must be a number, from 0 to 1",
    "app BUNDLE --port 70000": "--port 70000: must be a whole number, from 0 to 65535",
    "app BUNDLE --keep 0": "--keep 0: must be",
    "data check FILE --seed -1": "--seed -1: must be a whole number, from 0 to 4294967295",
    "decide RUN --rule sensitivity:2": "--rule sensitivity:2",
    "decide BUNDLE --rule cost:miss=1": "prevalence",
    # A wrong name.
    "infer BUNDLE IMAGE --out o --device CUP": "--device CUP: must be one of CPU",
    "verify BUNDLE --device GPU.7x": "--device GPU.7x",
    "infer BUNDLE IMAGE --out o --overlays flaged": "--overlays flaged: must be one of flagged, all, none. Did you mean flagged?",
    "export --run RUN --out o --precision int4": "--precision int4: must be one of f32, bf16, int8. Did you mean int8?",
    "export --run RUN --otu o": "there is no option --otu. Did you mean --out?",
    "infer BUNDLE IMAGE --out o --no-cach-at-all": "there is no option --no-cach-at-all. Did you mean --no-cache?",
    "speed BUNDLE IMAGE --against onnxruntim": "Did you mean onnxruntime?",
    "decide RUN --rule yuden": "Did you mean youden?",
    "decide RUN --rule sensitivty:0.9": "Did you mean sensitivity?",
    "plugins lst": "must be one of list. Did you mean list?",
    "plugins list --chekc": "Did you mean --check?",
    "decide BUNDLE --rul youden": "there is no option --rul. Did you mean --rule?",
    "infer BUNDLE IMAGE --ou=o": "there is no option --ou. Did you mean --out?",
    "--vers": "did you mean '--version'?",
    "trian": "did you mean 'train'?",
    "--verson": "did you mean '--version'?",
    # Something missing, or too much.
    "export --run RUN": "--out must be given",
    "infer BUNDLE --out o": "name an input",
    "decide RUN": "name a rule",
    "compare RUN": "at least two runs",
    "data": "must be given",
    "verify BUNDLE --device": "--device: expected one argument",
    "demo more": "more is one argument too many",
    # A missing folder, or a file in its place.
    "data check none.yaml": "none.yaml: cannot be read",
    "data check DIR": "dir: cannot be read",
    "data check FILE": "file: is no configuration",
    "export --run none --out o": "none: is not a tested run",
    "export --run FILE --out o": "file: is not a tested run",
    "export --run RUN --out FILE": "file: exists and is not a bundle",
    "export --run RUN --out file/o": "file: cannot be written",
    "export --run RUN --out o --images none": "none: does not exist",
    "infer none IMAGE --out o": "none: is not a bundle",
    "infer BUNDLE IMAGE --out FILE": "file: is a file. Name a folder for the results.",
    "infer BUNDLE --out o --watch FILE": "file: is no folder to watch",
    "verify FILE": "file: is not a bundle",
    "compare RUN FILE": "file/predictions.csv",
    "decide FILE --rule youden": "file: is neither a tested run",
    "decide RUN --rule youden --scores none.csv": "none.csv: cannot be read",
    "decide RUN --rule youden --scores DIR": "dir: cannot be read",
    "report FILE": "file",
    "report RUN --out DIR": "dir: cannot be written",
    "app none": "none: is not a bundle",
    "app BUNDLE --temporary none": "none: cannot hold",
    "report RUN --out .": ".: cannot be written (it is a folder). Name a file with --out",
    "demo --out FILE": "file: cannot be written",
    "demo --out /proc/none/o": "/proc/none/o: cannot be written",
    "export --run RUN --out /proc/none/o": "/proc/none: cannot be written",
    # An unreadable file.
    "decide RUN --rule youden --scores latin.csv": "latin.csv: cannot be read",
    "decide RUN --rule youden --scores less.csv": "less.csv: needs the columns",
    "data check latin.csv": "latin.csv: is not UTF-8",
    "export --run RUN --out o --images FILE": "file: is not a readable image",
}


@pytest.mark.parametrize("words", CASES)
def test_a_wrong_value_is_one_line(told, words):
    assert CASES[words] in told(words)


CONFIGURED = {
    "{class_path: medanomaly.data.Phantom, init_args: {colour: gray}}": "data.init_args.colour gray",
    "{class_path: medanomaly.data.Phantom, init_args: {image_szie: 3}}": "Did you mean image_size?",
    "{class_path: medanomaly.data.Phantom, init_args: {image_size: x}}": "data.init_args.image_size x: must be a whole number",
    "{class_path: medanomaly.data.Phantom, init_args: 7}": "data.init_args: must be options by name",
    "{class_path: medanomaly.data.Phantm}": "Did you mean medanomaly.data.Phantom?",
    "{class_path: medanomaly.data.Folder, init_args: {group_pattern: '('}}": "data.init_args.group_pattern '('",
    "{class_path: medanomaly.data.Folder, init_args: {root: none}}": "none does not exist",
    "7": "has no section `data`",
}


@pytest.mark.parametrize("section", CONFIGURED)
def test_a_wrong_option_of_data_check_is_one_line(told, tmp_path, section):
    (tmp_path / "c.yaml").write_text(f"data: {section}\n")
    assert CONFIGURED[section] in told("data check c.yaml")


def test_an_unexpected_failure_keeps_its_traceback_in_a_file(tmp_path, monkeypatch, capsys):
    from medanomaly.commands import plugins

    def broken(args):
        raise LookupError("nobody expects this")

    monkeypatch.setattr(plugins, "run", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["plugins", "list"]) == 1
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert "LookupError: nobody expects this" in line
    assert "in broken" in next(tmp_path.glob("traceback-*.txt")).read_text()


def test_a_reader_that_closes_the_pipe_is_no_error():
    """As ``medanomaly plugins list | head -1``; the list is printed often enough to fill any pipe's buffer."""
    code = (
        "import sys, time\n"
        "from medanomaly.commands import plugins\n"
        "show = plugins._show\n"
        "plugins._show = lambda rows: [show(rows) for _ in range(400)]\n"
        "from medanomaly.cli import main\n"
        "sys.exit(main(['plugins', 'list']))\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait() == 141
