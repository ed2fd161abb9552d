"""The command line as a whole: its help, misspelt and old words, and that it loads no more than it needs."""

from __future__ import annotations

import pytest

from medanomaly.cli import COMMANDS, OLD_COMMANDS, PASSED_ON, build_parser, main


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name in build_parser().commands:
        assert f"\n  {name} " in shown or f"\n    {name} " in shown


def test_every_command_is_one_file_of_its_name():
    files = {command.__name__.rpartition(".")[2] for command in COMMANDS}
    assert files - {"anomalib_commands"} == set(build_parser().commands) - set(PASSED_ON)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trian", "train"), ("infre", "infer"), ("plugin", "plugins"), ("reprot", "report"), ("sped", "speed")],
)
def test_a_mistyped_command_gets_a_suggestion(capsys, typed, meant):
    with pytest.raises(SystemExit) as stop:
        main([typed])
    assert stop.value.code == 2
    assert f"did you mean '{meant}'" in capsys.readouterr().err


@pytest.mark.parametrize("old", OLD_COMMANDS)
def test_an_old_command_works_and_says_the_new_word(capsys, tmp_path, old):
    new = OLD_COMMANDS[old]
    assert old not in build_parser().commands
    status = main([new, str(tmp_path / "none"), "x.png"])
    said = capsys.readouterr()
    assert main([old, str(tmp_path / "none"), "x.png"]) == status
    told = capsys.readouterr()
    assert told.out == said.out
    line, rest = told.err.split("\n", 1)
    assert f"'{old}' is now '{new}'" in line
    assert rest == said.err
