"""Shared by commands: one-line errors, the hint for a missing install, a quiet log."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from medanomaly._moved import RenamedWarning
from medanomaly.errors import MedAnomalyError
from medanomaly.failures import fail, refused

Run = Callable[[argparse.Namespace], int]


class MissingInstallError(MedAnomalyError):
    """The packages that the command needs are not installed. The message says how to install them."""


@contextmanager
def training_install(who: str = "this command") -> Iterator[None]:
    """Around imports of what only ``medanomaly[train]`` brings.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingInstallError: for an ImportError.
    """
    try:
        yield
    except ImportError as error:
        raise MissingInstallError(
            f"{who} needs the training install ({error}). pip install 'medanomaly[train]'"
        ) from error


def one_line_errors(*others: type[Exception]) -> Callable[[Run], Run]:
    """A decorator for ``run``: what the user can mend is one line on standard error, and exit status 2.

    Errors of ours are whole sentences; others get their full stop here.

    Args:
        others: Built-in errors that are the user's to mend in this command, too.
    """

    def decorate(run: Run) -> Run:
        @wraps(run)
        def guarded(args: argparse.Namespace) -> int:
            try:
                return run(args)
            except MedAnomalyError as error:
                if refused(error):  # a place that cannot be written to has a sentence of its own
                    raise
                return fail(error)
            except others as error:
                return fail(str(error) if str(error).endswith((".", "?")) else f"{error}.")

        return guarded

    return decorate


def quiet_log(stderr: bool = False) -> None:
    """One log handler, with our own news and everybody's warnings; anomalib sets up two and prints each line twice.

    Args:
        stderr: Log there, where standard output is a document.
    """
    from rich.console import Console
    from rich.logging import RichHandler

    warnings.filterwarnings("ignore", category=FutureWarning)
    tell_old_names()
    handler = RichHandler(console=Console(stderr=stderr), show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("medanomaly").setLevel(logging.INFO)


def tell_old_names() -> None:
    """From now on say of each old name that is used, once and in one line on stderr, what it is called now."""
    warnings.filterwarnings("always", category=RenamedWarning)
    others, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, RenamedWarning):
            others(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            print(f"Warning: {message}", file=sys.stderr)

    warnings.showwarning = show
