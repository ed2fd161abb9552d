"""How a command ends that does not succeed."""

from __future__ import annotations

import argparse
import errno

import pytest

from medanomaly import MedAnomalyError
from medanomaly.commands.common import MissingInstallError, one_line_errors, training_install
from medanomaly.edge.batch.output_errors import OutputError
from medanomaly.registry import PluginError

NOTHING = argparse.Namespace()


def raising(error: Exception, *others: type[Exception]):
    @one_line_errors(*others)
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("error", [PluginError("Of ours, as it is"), MedAnomalyError("Of ours, as it is")])
def test_an_error_of_ours_is_one_line_as_it_stands(capsys, error):
    assert raising(error)(NOTHING) == 2
    assert capsys.readouterr().err == "medanomaly: Of ours, as it is\n"


def test_a_built_in_error_gets_its_full_stop_where_it_was_named(capsys):
    assert raising(ValueError("no good\nnumber"), ValueError)(NOTHING) == 2
    assert raising(ValueError("was it?"), ValueError)(NOTHING) == 2
    assert capsys.readouterr().err == "medanomaly: no good number.\nmedanomaly: was it?\n"
    with pytest.raises(ValueError):
        raising(ValueError("no good number"))(NOTHING)


def test_what_cannot_be_written_is_left_to_the_sentence_for_it():
    with pytest.raises(OutputError):
        raising(OutputError(errno.ENOSPC, "No space left on device", "/x"))(NOTHING)


def test_the_training_install_is_named_where_it_lacks():
    with pytest.raises(MissingInstallError) as lacking, training_install("a run"):
        raise ModuleNotFoundError("No module named 'x'")
    expected = "a run needs the training install (No module named 'x'). pip install 'medanomaly[train]'"
    assert str(lacking.value) == expected


def test_a_status_is_passed_on():
    assert one_line_errors()(lambda args: 7)(NOTHING) == 7
