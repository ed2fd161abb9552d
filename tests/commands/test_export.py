"""``medanomaly export``: what it refuses. What it does is tested in tests/export."""

from __future__ import annotations

from medanomaly.cli import main


def test_a_wrong_run_is_one_message(tmp_path, capsys):
    assert main(["export", "--run", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "run.json" in capsys.readouterr().err
