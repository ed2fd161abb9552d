"""anomalib's commands, with every plugin loaded; :mod:`medanomaly.training` reads their options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from medanomaly.commands.common import MissingInstallError, quiet_log, training_install
from medanomaly.failures import fail

#: What is passed on, and what it does here.
PASSED_ON = {
    "train": "train on normal images, then test: figures, predictions and report",
    "test": "test a checkpoint",
    "fit": "train only",
    "validate": "validate a checkpoint; chooses the operating point anew",
    "predict": "score images with a checkpoint, in torch",
    "benchmark": "anomalib's benchmark pipeline",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Add their names, so that a misspelt one has a nearest; anomalib's own parser reads what follows."""
    for name in PASSED_ON:
        commands.add_parser(name, add_help=False)


def run(args: Sequence[str]) -> int:
    """Run one, given its name and its arguments as they were typed; returns the exit status."""
    quiet_log()
    try:
        with training_install():
            from medanomaly.training import command_line
    except MissingInstallError as error:
        return fail(error)
    return command_line.run(args)
