"""One process at a time writes into a folder; a second one is told which process does.

The system holds the lock and releases it when the process ends, however it ends: a file that a killed process left
behind blocks nobody.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timezone
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from medanomaly.errors import MedAnomalyError
from medanomaly.options import one_line

P = ParamSpec("P")
R = TypeVar("R")

#: Names of our working files in a folder that we write into begin so; they are never inputs.
OWN = ".medanomaly."
LOCK, WRITER = f"{OWN}lock", f"{OWN}writer"

#: What a file system says that has no locks: NFS without its lock service, Lustre without ``flock``, some of FUSE.
_WITHOUT_LOCKS = {
    getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)
}
#: What it says of a folder in which nothing may be written.
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
#: Bytes of a description, at most: more is none of ours.
_MOST = 4096
#: Seconds in which a process that holds the lock has said who it is.
_PATIENCE = 1.0


class OneWriterError(MedAnomalyError, ValueError):
    """A folder cannot be had for one writer alone. The message names the folder, the cause and the remedy."""


class NoLocksError(OneWriterError):
    """The file system of a folder has no locks, so that nothing keeps a second writer out."""


@contextmanager
def only_writer(folder: Path, remedy: str = "Wait for its end, or name another folder.") -> Iterator[None]:
    """Be the only process, and in it the only caller, that writes into a folder.

    Two files stand in the folder meanwhile, and are taken away at the end. Where a process was killed they stay, and
    the next one takes them over.

    Args:
        folder: The folder, which must be there; two paths of one folder are one.
        remedy: What a second writer is told to do.

    Raises:
        OneWriterError: if another writes into it, or its file system has no locks (:class:`NoLocksError`).
        OSError: if it cannot be written.
    """
    from filelock import FileLock, Timeout

    given, folder = folder, folder.resolve()
    # Without the library's substitute for locks, which outlives a killed process.
    lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise OneWriterError(f"{given}: {_holder(folder)} writes into it. {remedy}") from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _WITHOUT_LOCKS:
            if error.errno in _REFUSED:
                raise OSError(error.errno, error.strerror, os.fspath(given)) from error
            raise
        raise NoLocksError(
            f"{given}: lies on a file system without locks ({getattr(error, 'strerror', None) or error}), where "
            "nothing keeps a second process out. Name a folder on another disk, and copy the results afterwards."
        ) from error
    begun = folder.stat()
    try:
        _describe(folder)
        yield
    finally:
        with suppress(OSError):
            if os.path.samestat(folder.stat(), begun):  # a folder that took its place is another writer's
                (folder / WRITER).unlink(missing_ok=True)
                if not sys.platform.startswith("win"):  # there the library does it
                    # While it is held: who opened it before this finds, once locked, that it has no name, and begins
                    # anew.
                    (folder / LOCK).unlink()
        lock.release()


def by_one_writer(change: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
    """Let a function that reads a folder's files, its first argument, and writes them anew be alone in it.

    Raises:
        OneWriterError, OSError: as for :func:`only_writer`, beside what the function raises.
    """

    @wraps(change)
    def alone(folder: Path, *args: P.args, **kwargs: P.kwargs) -> R:
        # The function says what is wrong with what is no folder.
        with only_writer(folder, "Wait for its end.") if folder.is_dir() else nullcontext():
            return change(folder, *args, **kwargs)

    return alone


def _describe(folder: Path) -> None:
    # No command line: it would hold paths, which may name a patient.
    found = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    part = folder / f"{WRITER}.part"
    for old in (folder / WRITER, part):  # of a process that was killed
        old.unlink(missing_ok=True)
    with part.open("x", encoding="utf-8") as file:
        file.write(json.dumps(found))
    os.replace(part, folder / WRITER)  # noqa: PTH105 (a link of this name is replaced, not followed)


def _holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    end = time.monotonic() + _PATIENCE
    while True:
        known = _read(folder / WRITER)
        if known is not None or time.monotonic() > end:
            return known or "another process"
        time.sleep(0.05)


def _read(path: Path) -> str | None:
    """A description in words; None if it is none of ours. What it says is text, whatever it is."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with path.open("rb") as file:
            found = json.loads(file.read(_MOST))
        pid, host = int(found["pid"]), one_line(found["host"])[:255]
        since = datetime.fromisoformat(found["since"]).astimezone(timezone.utc)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return f"process {pid} on {host} (since {since:%Y-%m-%d %H:%M:%S} UTC)"
