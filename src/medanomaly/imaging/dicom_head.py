"""Detect DICOM by a file's first bytes, never by its name. Imports no pydicom."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

#: Bytes that tell.
HEAD = 512

#: Value representations of explicit data sets (PS3.5 6.2); those after the bar have a length of four bytes.
_SHORT, _LONG = (
    frozenset(names.split())
    for names in b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US|"
    b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(b"|")
)
#: No value among the first elements of an image is longer.
_LONGEST = 4096
#: Elements, one after the other in ascending order, that are no chance.
_ELEMENTS = 3


def looks_like_dicom(path: str | Path) -> bool:
    """Whether a regular file holds DICOM: ``DICM`` at byte 128, or a data set from its first byte on.

    Files without the preamble are common in old archives and exports. They are known by elements of group 2 or 8 that
    follow one another with valid representations and lengths.

    Returns:
        False also for what is no regular file or cannot be opened.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a pipe would wait for its other end
            return False
        with Path(path).open("rb") as file:
            return is_dicom(file.read(HEAD))
    except OSError:
        return False


def is_dicom(head: bytes) -> bool:
    """The same for the first ``HEAD`` bytes of a file, or all of a shorter one."""
    if head[128:132] == b"DICM":
        return True
    return any(_begins(head, order, explicit) for order, explicit in (("<", True), (">", True), ("<", False)))


def _begins(head: bytes, order: str, explicit: bool) -> bool:
    """Whether the bytes are elements from the first one on, until the head ends or enough are seen."""
    place = count = last = 0
    while place + 8 <= len(head) and count < _ELEMENTS:
        group, number = struct.unpack_from(order + "HH", head, place)
        tag = group << 16 | number
        if (not count and group not in (2, 8)) or (count and tag <= last):
            return False
        length = _length(head, place, order, explicit)
        if length is None:
            return False
        place, last, count = place + length, tag, count + 1
    return count >= 2


def _length(head: bytes, place: int, order: str, explicit: bool) -> int | None:
    """Bytes of an element with its header; None if it is none."""
    name = head[place + 4 : place + 6]
    if not explicit:
        (length,) = struct.unpack_from(order + "I", head, place + 4)
        start = 8
    elif name in _SHORT:
        (length,) = struct.unpack_from(order + "H", head, place + 6)
        start = 8
    elif name in _LONG and place + 12 <= len(head):
        (length,) = struct.unpack_from(order + "I", head, place + 8)
        start = 12
    else:
        return None
    if length == 0xFFFFFFFF and (name in (b"SQ", b"UN") or not explicit):
        return HEAD  # a sequence up to its end marker: nothing more is told
    return start + length if length <= _LONGEST and length % 2 == 0 else None
