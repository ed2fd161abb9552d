"""``medanomaly speed`` as people use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medanomaly.cli import main


def test_command_prints_ratios_and_json(drawn_bundle, greys, capsys):
    folder = str(Path(greys[0]).parent)
    options = ["speed", str(drawn_bundle), folder, "--repeat", "1", "--limit", "4", "--against"]
    assert main(options) == 0
    printed = capsys.readouterr().out
    assert printed.index("ours / theirs") < printed.index("figures")
    assert "CPU alone" in printed
    assert main([*options[:-1], "--json", "--against"]) == 0
    assert json.loads(capsys.readouterr().out)["against"] == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--repeat", "0"], "at least 1"),
        (["--against", "tensorrt"], "tensorrt"),
    ],
)
def test_wrong_options_are_refused(drawn_bundle, greys, capsys, options, words):
    assert main(["speed", str(drawn_bundle), greys[0], *options]) == 2
    assert words in capsys.readouterr().err


def test_unreadable_images_and_empty_folders_are_refused(drawn_bundle, tmp_path, capsys):
    assert main(["speed", str(drawn_bundle), str(tmp_path), "--against"]) == 2
    assert "holds no images" in capsys.readouterr().err
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert main(["speed", str(drawn_bundle), str(tmp_path), "--against"]) == 2
    assert "bad.png" in capsys.readouterr().err
