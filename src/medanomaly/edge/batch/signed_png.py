"""Sign PNG files as ours, each with the name it was written under, and recognise them.

A kill leaves a picture without a record that names it, and a person may keep pictures of his own beside it, copies of
ours among them. The mark is a text chunk (PNG 1.2, 4.2.3.1) behind the header: the program, and a checksum of the name,
which gives no name away.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

#: Bytes of the signature and of the header's chunk.
_HEAD = 33


def signed(png: bytes, name: str) -> bytes:
    """A PNG file with the mark for its name."""
    return png[:_HEAD] + _chunk(name) + png[_HEAD:]


def is_signed(path: Path) -> bool:
    """Whether a file is one of ours under its name, or empty, as a kill leaves it."""
    mark = _chunk(path.name)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD + len(mark))
    except OSError:
        return False
    return not head or head[_HEAD:] == mark


def _chunk(name: str) -> bytes:
    data = b"tEXtSoftware\0medanomaly %08x" % zlib.crc32(os.fsencode(name))
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
