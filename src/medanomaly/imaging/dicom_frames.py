"""Locate each frame of a DICOM file, so that one is read without the others."""

from __future__ import annotations

import io
import struct
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from medanomaly.errors import MedAnomalyError

_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
#: A fragment costs eight bytes: a file of nothing else must not cost minutes.
_MOST_FRAGMENTS = 1_000_000

#: Place and length of a fragment of compressed pixels.
Piece = tuple[int, int]


class Source(Protocol):
    """What bytes are read from."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a place."""

    def read(self, size: int = ..., /) -> bytes:
        """Read from there."""


class FrameError(MedAnomalyError, ValueError):
    """The pixels do not hold the frames that the header declares. Says what is wrong, without the file's name."""


def compressed_frames(
    source: Source, start: int, count: int, extended: tuple[bytes, bytes] | None = None
) -> list[Sequence[Piece]]:
    """The pieces of each compressed frame (PS3.5 A.4).

    Frames are told apart by the extended or the basic offset table; without both, by one fragment a frame, or by the
    end markers of their streams.

    Args:
        source: The file.
        start: Place of the value of Pixel Data: of the item of the basic offset table.
        count: Declared frames.
        extended: Values of Extended Offset Table and Extended Offset Table Lengths.

    Raises:
        FrameError: if there are fewer frames, or the file ends within one.
    """
    table, pieces = _fragments(source, start)
    if not pieces:
        raise FrameError("has pixel data without any frame")
    if count == 1:
        return [pieces]
    if extended:
        return _by_extended(pieces, count, *extended)
    offsets = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    if len(offsets) >= count:
        frames = _by_offset(pieces, offsets[:count])
        if frames:
            return frames
    if len(pieces) == count:
        return [[piece] for piece in pieces]
    frames = _by_marker(source, pieces, count)
    if len(frames) < count:
        raise FrameError(f"declares {count} frames but holds fewer")
    return frames


def read_pieces(source: Source, pieces: Sequence[Piece]) -> bytes:
    """The compressed stream of one frame."""
    parts = []
    for place, length in pieces:
        source.seek(place)
        parts.append(source.read(length))
    return b"".join(parts)


def _fragments(source: Source, start: int) -> tuple[bytes, list[Piece]]:
    table, pieces, place = None, [], start
    while True:
        source.seek(place)
        header = source.read(8)
        if len(header) < 8:
            break  # the end marker is missing: what is there may be whole
        group, number, length = struct.unpack("<HHI", header)
        tag = group << 16 | number
        if tag == _END:
            break
        if tag != _ITEM or length == 0xFFFFFFFF:
            raise FrameError(f"has damaged pixel data (no item at byte {place})")
        place += 8
        if table is None:
            table = source.read(length)
        else:
            pieces.append((place, length))
            if len(pieces) > _MOST_FRAGMENTS:
                raise FrameError(f"has pixel data in more than {_MOST_FRAGMENTS} pieces")
        place += length
    if pieces:
        last, length = pieces[-1]
        source.seek(last)
        source.seek(length - 1, io.SEEK_CUR) if length else None
        if length and not source.read(1):
            raise FrameError("is truncated: its last frame is not whole")
    return table or b"", pieces


def _by_offset(pieces: list[Piece], offsets: Sequence[int]) -> list[Sequence[Piece]]:
    """Frames that begin at these offsets from the first fragment; empty where the table does not fit the fragments."""
    first = pieces[0][0]
    places = [place - first for place, _ in pieces]
    starts = [bisect_left(places, offset) for offset in offsets]
    fit = all(at < len(places) and places[at] == offset for at, offset in zip(starts, offsets, strict=True))
    if not fit or any(after <= before for before, after in pairwise(starts)):
        return []
    return [pieces[start:end] for start, end in zip(starts, [*starts[1:], len(pieces)], strict=True)]


def _by_extended(pieces: list[Piece], count: int, offsets: bytes, lengths: bytes) -> list[Sequence[Piece]]:
    first, (last, length) = pieces[0][0], pieces[-1]
    places, sizes = (
        struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8]) for value in (offsets, lengths)
    )
    if min(len(places), len(sizes)) < count:
        raise FrameError(f"declares {count} frames but its offset table lists fewer")
    if any(first + place + size > last + length for place, size in zip(places[:count], sizes, strict=False)):
        raise FrameError("has an offset table that points beyond its pixels")
    return [((first + place, size),) for place, size in zip(places[:count], sizes, strict=False)]


def _by_marker(source: Source, pieces: list[Piece], count: int) -> list[Sequence[Piece]]:
    frames: list[Sequence[Piece]] = []
    frame: list[Piece] = []
    for place, length in pieces:
        frame.append((place, length))
        tail = min(length, 10)
        source.seek(place + length - tail)
        if b"\xff\xd9" in source.read(tail):
            frames.append(frame)
            frame = []
    return [*frames, frame] if frame and len(frames) < count else frames
