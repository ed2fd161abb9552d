"""Files: written as a whole or not at all, and their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK = 2**20


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits, read block by block: a video of hours never lies in memory.

    Raises:
        OSError: if it cannot be read.
    """
    # hashlib.file_digest does this, from Python 3.11 on.
    digest, block = hashlib.sha256(), bytearray(_BLOCK)
    view = memoryview(block)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(block):
            digest.update(view[:read])
    return digest.hexdigest()


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that its name never stands for half of it, whatever happens in between.

    The bytes go to a hidden neighbour and onto the disk, then the neighbour takes the name. What the name stood for
    before stays until then, and for good if the disk is full. A link that stands where the neighbour goes is removed,
    never followed.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with _new(part) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 (atomic, also over an existing file)
    except BaseException:  # a signal too
        part.unlink(missing_ok=True)
        raise
    _settle(path.parent)


@contextmanager
def together() -> Iterator[Callable[[Path], Path]]:
    """Several files that take their names together, or none of them.

    Yields:
        A function from a file's path to that of its hidden neighbour, into which the caller writes. At the end, when
        all neighbours are whole and on the disk, they take the names; if anything was raised, none does. The neighbour
        is there already, new and empty: a link of its name would lead the caller's bytes elsewhere.
    """
    parts: dict[Path, Path] = {}

    def part(path: Path) -> Path:
        if path not in parts:
            neighbour = path.with_name(f".{path.name}.part")
            _new(neighbour).close()
            parts[path] = neighbour
        return parts[path]

    try:
        yield part
        for written in parts.values():
            with written.open("rb+") as file:
                os.fsync(file.fileno())
        for path, written in parts.items():
            os.replace(written, path)  # noqa: PTH105
    finally:
        for written in parts.values():
            written.unlink(missing_ok=True)
    for folder in {path.parent for path in parts}:
        _settle(folder)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """One file beside ``path`` to write into, which takes its place at the end; see :func:`together`.

    The folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with together() as part:
        yield part(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole, in UTF-8; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Bytes of a file's name that are no UTF-8: JSON reads the escape back as they were.
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record of plain values as a whole; its folder is made.

    Raises:
        ValueError: for NaN and infinity, which JSON does not know.
        TypeError: for a value that is not plain.
    """
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _new(path: Path) -> BinaryIO:
    """A new file to write into, in place of whatever had its name; "x" follows no link."""
    path.unlink(missing_ok=True)
    return path.open("xb")


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
