"""How a command ends that does not succeed: one line on standard error, and a status.

A wrong option and a place that cannot be written to are one sentence and status 2. Anything else that was not expected
is one sentence and status 1, with the traceback in a file that the sentence names.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeGuard

from medanomaly.options import WRONG, one_line

#: Exit status after a failure that no option explains.
FAILED = 1

#: What the machine refuses, whatever the program does: a full, read-only or forbidden place, a name that is taken.
_REFUSED = {
    getattr(errno, name)
    for name in (
        "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "EIO",
    )
    if hasattr(errno, name)
}  # fmt: skip
#: Of these, what free space explains.
_FULL = {errno.ENOSPC, errno.EIO, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


#: What of a message :func:`fail` prints.
_SAID: ContextVar[Callable[[object], str]] = ContextVar("_SAID", default=str)


@contextmanager
def saying(said: Callable[[object], str]) -> Iterator[None]:
    """Meanwhile :func:`fail` prints of a message what ``said`` makes of it, so that no handler can forget to ask."""
    token = _SAID.set(said)
    try:
        yield
    finally:
        _SAID.reset(token)


def warn(message: object) -> None:
    """Print one line on standard error, and go on."""
    print(f"medanomaly: {one_line(_SAID.get()(message))}", file=sys.stderr)


def fail(message: object, status: int = WRONG) -> int:
    """Print one line on standard error; returns the status."""
    warn(message)
    return status


def refused(error: BaseException) -> TypeGuard[OSError]:
    """Whether the machine refused to write, rather than the program being wrong."""
    return isinstance(error, OSError) and error.errno in _REFUSED


def cannot_write(place: str | os.PathLike[str] | None, error: OSError, remedy: str) -> str:
    """The sentence for a place that cannot be written to, with the free space where it is full; None is not known."""
    if place is None:
        return f"A file cannot be written ({error.strerror or error}). {remedy}"
    free = ""
    if error.errno in _FULL:
        folder = next((p for p in (Path(place), *Path(place).parents) if p.is_dir()), Path())
        free = f"; {shutil.disk_usage(folder).free / 2**20:.1f} MiB are free there"
    return f"{place}: cannot be written ({error.strerror or error}{free}). {remedy}"


def unexpected(error: BaseException, folder: Path | None = None) -> int:
    """Say what went wrong in one line, and write the traceback into a file; returns the status.

    Args:
        error: What was raised.
        folder: Where the file goes; the system's folder for temporary files where it cannot.
    """
    text = "".join(traceback.format_exception(error))
    kind, said = type(error).__name__, one_line(error)
    said = said if len(said) <= 300 else f"{said[:297]}..."
    where = _written(text, folder)
    if where is None:
        print(text, file=sys.stderr)
        return fail(f"failed ({kind}: {said})", FAILED)
    return fail(f"failed ({kind}: {said}). The traceback is in {where}", FAILED)


def fail_traced(error: BaseException, status: int = WRONG) -> int:
    """Print an error's own line, and where the traceback of what caused it is; returns the status."""
    where = _written("".join(traceback.format_exception(error)), None)
    return fail(f"{error} The traceback is in {where}" if where else error, status)


def _written(text: str, folder: Path | None) -> Path | None:
    name = f"traceback-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    for place in (folder, Path(tempfile.gettempdir())):
        if place is not None and place.is_dir():
            try:
                (place / name).write_text(text, encoding="utf-8", errors="backslashreplace")
            except OSError:
                continue
            return place / name
    return None
