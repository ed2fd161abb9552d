"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that its name never stands for half of it, whatever happens in between.

    The bytes go to a hidden neighbour and onto the disk, then the neighbour takes the name. What the name stood for
    before stays until then, and for good if the disk is full.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 (atomic, also over an existing file)
    except BaseException:  # a signal too
        part.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Bring the new name itself onto the disk, where the system lets a folder be opened for that."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(opened)
    except OSError:  # some network file systems cannot
        pass
    finally:
        os.close(opened)
