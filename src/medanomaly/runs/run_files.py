"""A run's files, each written as a whole or not at all; folders are made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medanomaly.files import together, write_whole


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write into, which takes its place at the end; see :func:`medanomaly.files.together`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with together() as part:
        yield part(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Bytes of a file's name that are no UTF-8: JSON reads the escape back as they were.
    write_whole(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record of plain values.

    Raises:
        ValueError: for NaN and infinity, which JSON does not know.
        TypeError: for a value that is not plain.
    """
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
