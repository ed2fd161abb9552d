"""Find the pages of a TIFF file once; each is then read by its own directory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from medanomaly.imaging.limits import MAX_FRAMES
from medanomaly.imaging.tiff_directory import Directory, Form, Source, TiffError, start, walk

#: Tags, by the names of the specification.
NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, LENGTH, BITS, COMPRESSION = 254, 255, 256, 257, 258, 259
DESCRIPTION, STRIP_OFFSETS, SAMPLES, STRIP_LENGTHS, SUB_DIRECTORIES = 270, 273, 277, 279, 330

#: A reduced picture or a transparency mask (NewSubfileType), a reduced picture (SubfileType).
_NOT_FULL, _REDUCED = 0b101, 2


@dataclass(frozen=True)
class Stack:
    """Where the pictures of a file are.

    Args:
        form: How its numbers are written.
        places: Of the directories of its full pages.
        frames: How many pictures there are: one a page, or all of one page's, where they follow one another.
        step: Bytes from one picture to the next where one directory stands for all; else 0.
        slide: Whose whole-slide format it is; empty for none.
    """

    form: Form
    places: tuple[int, ...]
    frames: int
    step: int = 0
    slide: str = ""

    def directory(self, source: Source, frame: int) -> tuple[Directory, int]:
        """The directory of a picture, counted from 0, and by how many bytes its strips lie further on."""
        if self.step:
            return Directory(source, self.form, self.places[0]), frame * self.step
        return Directory(source, self.form, self.places[frame]), 0


def stack_of(path: Path) -> Stack:
    """Find the pictures of a file; a file that has not changed is not searched again.

    Raises:
        TiffError: if its directories are damaged, or hold no full picture.
        OSError: if it cannot be read.
    """
    about = path.stat()
    return _stack(path, about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)


@lru_cache(maxsize=16)
def _stack(path: Path, *_state: int) -> Stack:
    with path.open("rb") as file:
        source = Source(file)
        form, place = start(source)
        places, first, all_of_them = [], None, 0
        for directory in walk(source, form, place, MAX_FRAMES):
            first, all_of_them = first or directory, all_of_them + 1
            if not _partial(directory):
                places.append(directory.place)
        if first is None:
            raise TiffError("has no page")
        slide = _slide(first)
        if not places:
            if SUB_DIRECTORIES in first:
                raise TiffError(
                    "shows only a preview; its picture lies in a sub-directory, as a camera's raw files have it",
                    "Export the picture as an ordinary TIFF.",
                )
            places = [first.place]
        if all_of_them == 1:
            frames, step = _contiguous(first, source.size)
            return Stack(form, tuple(places), frames, step, slide)
        return Stack(form, tuple(places), len(places), 0, slide)


def _partial(directory: Directory) -> bool:
    kind = directory.number(NEW_SUBFILE_TYPE, 0)
    return bool(kind & _NOT_FULL) or directory.number(SUBFILE_TYPE, 0) == _REDUCED


def _slide(first: Directory) -> str:
    text = first.content(DESCRIPTION)
    if text.startswith(b"Aperio"):
        return "Aperio SVS"
    if 65420 in first:  # NDPI_FORMAT_FLAG, a private tag of Hamamatsu's
        return "Hamamatsu NDPI"
    return "Philips" if b"DPUfsImport" in text[:4096] else ""


def _contiguous(only: Directory, size: int) -> tuple[int, int]:
    """Frames that one directory stands for, and the bytes of each: ImageJ above 4 GB, tifffile with ``truncate``.

    Both keep the pictures uncompressed behind one another, and say their number in the description alone.
    """
    declared = _declared(only.content(DESCRIPTION), only)
    starts, lengths = only.numbers(STRIP_OFFSETS, 2**16), only.numbers(STRIP_LENGTHS, 2**16)
    if declared < 2 or only.number(COMPRESSION, 1) != 1 or not starts or len(starts) != len(lengths):
        return 1, 0
    step = (only.number(WIDTH, 0) * only.number(SAMPLES, 1) * only.number(BITS, 1) + 7) // 8 * only.number(LENGTH, 0)
    held = (size - starts[0]) // step if step > 0 else 0
    if held < 2:  # one picture of a stack, saved with the description of them all
        return 1, 0
    if held < declared:
        raise TiffError(f"is truncated (it declares {declared} pictures and holds {held})")
    if declared > MAX_FRAMES:
        raise TiffError(f"declares {declared} pictures, more than {MAX_FRAMES}")
    return declared, step


def _declared(text: bytes, only: Directory) -> int:
    if text.startswith(b"ImageJ="):
        found = re.search(rb"\nimages=(\d{1,9})\s", text + b"\n")
        return int(found[1]) if found else 1
    try:
        about = json.loads(text.rstrip(b"\0")) if text.startswith(b"{") else {}
        shape = [int(length) for length in about["shape"]] if about.get("truncated") is True else []
    except (ValueError, TypeError, KeyError, RecursionError):
        return 1
    picture = only.number(WIDTH, 0) * only.number(LENGTH, 0) * only.number(SAMPLES, 1)
    whole = picture > 0 and len(shape) < 10 and min(shape, default=0) > 0 and prod(shape) % picture == 0
    return prod(shape) // picture if whole else 1
