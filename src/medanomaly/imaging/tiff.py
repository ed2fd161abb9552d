"""The directories of a TIFF file, and of the EXIF block of a JPEG, which has the same form."""

from __future__ import annotations

import struct

#: Bytes a value by its type: the integers, which are all that is asked for.
_INTEGERS = {1: "B", 3: "H", 4: "I"}

_MAX_PAGES = 10_000

Tags = dict[int, tuple[int, ...]]


class TiffError(ValueError):
    """A directory that cannot be followed."""


def read_tags(content: bytes, place: int, order: str) -> tuple[Tags, int]:
    """The integer tags of the directory at ``place`` and the place of the next one, 0 for none.

    Args:
        content: The whole file, or an EXIF block from its byte-order mark on.
        place: Where the directory starts.
        order: ``<`` or ``>``.
    """
    (count,) = struct.unpack_from(order + "H", content, place)
    tags: Tags = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", content, entry)
        if kind not in _INTEGERS or number < 1:
            continue
        form = _INTEGERS[kind]
        length = number * struct.calcsize(form)
        start = entry + 8 if length <= 4 else struct.unpack_from(order + "I", content, entry + 8)[0]
        if start + length > len(content):
            raise TiffError(f"tag {tag} lies beyond the end")
        tags[tag] = struct.unpack_from(f"{order}{number}{form}", content, start)
    (following,) = struct.unpack_from(order + "I", content, place + 2 + 12 * count)
    return tags, following


def read_pages(content: bytes) -> list[Tags]:
    """The tags of every page of a TIFF file, in order; at least one.

    Raises:
        TiffError: for BigTIFF, directories in a circle, or a count beyond reason.
    """
    order = "<" if content[:2] == b"II" else ">"
    version, place = struct.unpack_from(order + "HI", content, 2)
    if version != 42:
        raise TiffError("BigTIFF: save it as an ordinary TIFF")
    pages: list[Tags] = []
    seen: set[int] = set()
    while place:
        if place in seen or len(pages) >= _MAX_PAGES:
            raise TiffError("its pages run in a circle or beyond count")
        seen.add(place)
        tags, place = read_tags(content, place, order)
        pages.append(tags)
    if not pages:
        raise TiffError("it has no page")
    return pages
