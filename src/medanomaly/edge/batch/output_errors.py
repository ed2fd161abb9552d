"""Errors of writing results, as opposed to those of reading inputs and bundles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medanomaly.errors import MedAnomalyError


class OutputError(MedAnomalyError, OSError):
    """A file of the results cannot be written; ``filename`` says which."""


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Name what is being written in every :class:`OSError` within.

    Raises:
        OutputError: for an :class:`OSError`; of the file that this names, or of ``place``.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(error.errno, error.strerror or str(error), os.fspath(error.filename or place)) from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file anew. A link of this name is replaced, and what it leads to stays as it is.

    Raises:
        OutputError: if it cannot be written.
    """
    with writing(path):
        try:
            file = path.open("xb")
        except FileExistsError:
            path.unlink()
            file = path.open("xb")
        try:
            with file:
                file.write(data)
        except BaseException:  # half a picture says nothing
            with suppress(OSError):
                path.unlink()
            raise
