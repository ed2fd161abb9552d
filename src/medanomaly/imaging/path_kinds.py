"""Name what a path is where it is no file to read: folder, pipe, socket, device or dangling link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "is a directory, not an image"),
    (stat.S_ISFIFO, "is a pipe (FIFO), not a file. Write what comes from it into a file, and name that"),
    (stat.S_ISSOCK, "is a socket, not a file. Name an image"),
    (stat.S_ISCHR, "is a device, not a file. Name an image"),
    (stat.S_ISBLK, "is a device, not a file. Name an image"),
)


def no_file(path: str | Path) -> str | None:
    """Why a path is no regular file, and what to do, as the rest of a sentence without its point; None if it is one.

    Nothing is opened: a pipe would wait for its other end, and a device may never end. Links are followed; where they
    lead is not told, because it may name what the path as given does not.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a path of any length)
    except ValueError:  # a name with NUL
        return "does not exist"
    except OSError as error:
        return _unreachable(path, error)
    if stat.S_ISREG(mode):
        return None
    return next((text for of_kind, text in _KINDS if of_kind(mode)), "is not a file. Name an image")


def _unreachable(path: str | Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself. Leave it out, or link to a file"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if os.path.islink(path):  # noqa: PTH114
            return "is a link whose target does not exist. Restore the target, or leave the link out"
        return "does not exist"
    return f"cannot be looked at ({error.strerror or error}). Allow it, or name another file"
