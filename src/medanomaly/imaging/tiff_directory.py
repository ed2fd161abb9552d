"""Parse the directories of a TIFF file, and of a JPEG's EXIF block, which has the same form."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from medanomaly.errors import MedAnomalyError

#: Letter of ``struct`` of a value by its type: integers, and bytes of text or of unknown form.
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTES = (2, 7)

#: Refuse more entries in a directory: each has a tag of its own, and tags have 16 bits.
_MAX_ENTRIES = 2**16


class TiffError(MedAnomalyError, ValueError):
    """A TIFF that is damaged or not read. Says what is wrong without the file's name, and apart from it what to do."""

    def __init__(self, fault: str, remedy: str = "Copy or export it again.") -> None:
        super().__init__(fault)
        self.remedy = remedy


class Source:
    """An open file of known size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def take(self, place: int, length: int) -> bytes:
        """Bytes from ``place`` on; a part of the file that is not there is a :class:`TiffError`."""
        if place < 0 or length < 0 or place + length > self.size:
            raise TiffError("is truncated (part of it lies beyond the end of the file)")
        self._file.seek(place)
        taken = self._file.read(length)
        if len(taken) != length:
            raise TiffError("is truncated (it became shorter while it was read)")
        return taken


@dataclass(frozen=True)
class Form:
    """How numbers are written: ``<`` or ``>``, and 8 bytes for places (BigTIFF) or 4."""

    order: str
    big: bool = False


class Directory:
    """The entries of one directory; their values are read when they are asked for."""

    def __init__(self, source: Source, form: Form, place: int) -> None:
        self._source, self._form, self.place = source, form, place
        head, width = ("Q", 20) if form.big else ("H", 12)
        self._inline = width - (12 if form.big else 8)
        (count,) = struct.unpack(form.order + head, source.take(place, struct.calcsize("=" + head)))
        if count > _MAX_ENTRIES:
            raise TiffError("is damaged (a directory of impossible length)")
        start = place + struct.calcsize("=" + head)
        block = source.take(start, count * width + self._inline)
        letter = "Q" if form.big else "I"
        self._entries: dict[int, tuple[int, int, bytes]] = {}
        for at in range(0, count * width, width):
            tag, kind, number = struct.unpack_from(f"{form.order}HH{letter}", block, at)
            self._entries.setdefault(tag, (kind, number, block[at + width - self._inline : at + width]))
        (self.following,) = struct.unpack_from(form.order + letter, block, count * width)

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def numbers(self, tag: int, most: int = 16) -> tuple[int, ...]:
        """The first integers of a tag, up to a number; empty if it is not there or holds none."""
        kind, number, value = self._entries.get(tag, (0, 0, b""))
        letter = _INTEGERS.get(kind)
        if letter is None or number < 1:
            return ()
        wanted = min(number, most)
        raw = self._raw(value, number * struct.calcsize("=" + letter), wanted * struct.calcsize("=" + letter))
        return struct.unpack(f"{self._form.order}{wanted}{letter}", raw)

    def number(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return next(iter(self.numbers(tag, 1)), default)

    def content(self, tag: int, most: int = 2**20) -> bytes:
        """The bytes of a tag of text or of unknown form; empty if it is not there or longer than ``most``."""
        kind, number, value = self._entries.get(tag, (0, 0, b""))
        return self._raw(value, number, number) if kind in _BYTES and number <= most else b""

    def _raw(self, value: bytes, length: int, wanted: int) -> bytes:
        if length <= self._inline:
            return value[:wanted]
        (place,) = struct.unpack(self._form.order + ("Q" if self._form.big else "I"), value)
        return self._source.take(place, wanted)


def start(source: Source) -> tuple[Form, int]:
    """How a file is written, and the place of its first directory.

    Raises:
        TiffError: if its first bytes are no TIFF's.
    """
    order = {b"II": "<", b"MM": ">"}.get(source.take(0, 2))
    if order is None:
        raise TiffError("does not begin as a TIFF")
    (version,) = struct.unpack(order + "H", source.take(2, 2))
    if version == 43:
        width, _, place = struct.unpack(order + "HHQ", source.take(4, 12))
        if width != 8:
            raise TiffError(f"is damaged (its places have {width} bytes)")
        return Form(order, True), place
    return Form(order), struct.unpack(order + "I", source.take(4, 4))[0]


def walk(source: Source, form: Form, place: int, most: int) -> Iterator[Directory]:
    """Every directory of a chain.

    Raises:
        TiffError: if they run in a circle, or there are more than ``most``.
    """
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) >= most:
            raise TiffError(f"is damaged (its pages run in a circle, or are more than {most})")
        seen.add(place)
        directory = Directory(source, form, place)
        place = directory.following
        yield directory
