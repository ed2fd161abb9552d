"""Inflate deflated DICOM, step by step and within a limit."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from medanomaly.imaging.limits import ImageError

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PLAIN = b"1.2.840.10008.1.2.1".ljust(len(_DEFLATED), b"\0")
_STEP = 1 << 20

#: A header does not inflate beyond this: a thousand times its size costs a bomb nothing.
HEADER_LIMIT = 32 << 20
#: Nor do header and pixels together: they lie in memory.
LIMIT = 256 << 20


def data_set_after(file: io.BufferedIOBase) -> tuple[int, bool]:
    """Where the data set begins, and whether it is deflated.

    The file's meta information (group 2) is always explicit, little endian (PS3.10 7.1).
    """
    file.seek(0)
    head = file.read(132)
    place, deflated = 132 if head[128:] == b"DICM" else 0, False
    while True:
        file.seek(place)
        header = file.read(12)
        if len(header) < 8 or header[:2] != b"\x02\x00":
            return place, deflated
        long = header[4:6] in (b"OB", b"OW", b"UN", b"UT", b"SQ", b"UC", b"UR")
        if long and len(header) < 12:
            return place, False
        start = place + (12 if long else 8)
        (length,) = struct.unpack_from("<I" if long else "<H", header, 8 if long else 6)
        if header[:4] == b"\x02\x00\x10\x00":
            file.seek(start)
            deflated = file.read(min(length, 64)).rstrip(b"\0 ") == _DEFLATED
        place = start + length


class Inflated:
    """Read-only file of the explicit little-endian data set within a deflated one.

    It is inflated as far as it is asked for; ``limit`` may be raised once the header has said how much is needed.

    Args:
        path: The deflated file.
        after: Where its data set begins.
    """

    def __init__(self, path: Path, after: int) -> None:
        self.path, self.limit, self._place = path, HEADER_LIMIT, 0
        content = path.read_bytes()
        head, self._left = content[:after], content[after:]
        at = head.rfind(_DEFLATED)
        self._whole = bytearray(head[:at] + _PLAIN + head[at + len(_DEFLATED) :])
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)

    def _fill(self, end: int) -> None:
        while len(self._whole) < end and not self._engine.eof:
            if len(self._whole) >= self.limit:
                raise ImageError(
                    f"{self.path}: is deflated DICOM whose header is of more than {self.limit >> 20} MiB. "
                    "If it is meant so, inflate it first: dcmconv +te in.dcm out.dcm"
                )
            step = self._engine.decompress(self._left, min(_STEP, self.limit - len(self._whole)))
            self._left = self._engine.unconsumed_tail
            self._whole += step
            if not step and not self._left:
                return  # it ends early, as a file cut off does

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes from here, all of the rest if negative."""
        end = self._place + size if size is not None and size >= 0 else self.limit + 1
        self._fill(end)
        found = bytes(self._whole[self._place : end])
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, from the start, from here, or from the end."""
        if whence == io.SEEK_END:
            self._fill(self.limit + 1)
        self._place = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._whole)}[whence], 0)
        return self._place

    def tell(self) -> int:
        """Bytes from the start."""
        return self._place

    def at(self, place: int, length: int) -> bytes:
        """``length`` bytes from ``place`` on, or as many as there are; for several threads."""
        self._fill(place + length)
        return bytes(self._whole[place : place + length])

    def finish(self, end: int) -> None:
        """Inflate up to ``end``, within ``LIMIT``, and let the deflated bytes go."""
        self.limit = min(end, LIMIT)
        self._fill(end)
        self._left = b""

    @property
    def size(self) -> int:
        """Bytes inflated so far."""
        return len(self._whole)
