"""Recognise a report of ours among a user's files, by first and last lines that all have had since version 0.1.0."""

from __future__ import annotations

import os
from pathlib import Path

#: Bytes at a page's beginning and end that are looked at.
_HEAD, _TAIL = 1024, 1024
_DOCTYPE = b"<!doctype html>"
#: The pages load nothing, and say so before anything else; their last line names their maker.
_POLICY = b"default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MAKER = b"Made by medanomaly"


def is_page(path: Path) -> bool:
    """Whether a file is a report of ours, of one run or of several.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return head.lstrip().startswith(_DOCTYPE) and _POLICY in head and _MAKER in file.read(_TAIL)
