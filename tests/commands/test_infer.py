"""``medanomaly infer``: what it refuses. What it does is tested in tests/edge/batch."""

from __future__ import annotations

from medanomaly.cli import main


def test_a_wrong_bundle_is_one_message(tmp_path, capsys):
    assert main(["infer", str(tmp_path), "x.png", "--out", str(tmp_path / "o")]) == 2
    assert "is not a bundle" in capsys.readouterr().err


def test_no_input_is_one_message(tmp_path, capsys):
    assert main(["infer", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert capsys.readouterr().err == "medanomaly: name an input, or a folder with --watch.\n"
