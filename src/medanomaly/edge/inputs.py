"""What a person names becomes what is scored: files, folders, patterns, lists, and each frame of files with several."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from medanomaly.edge import video
from medanomaly.edge.result import Failure, Frame
from medanomaly.imaging import IMAGE_SUFFIXES, ImageError, frames

#: Suffixes of formats that hold one picture.
_SINGLE = frozenset({".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp"})

#: The name that stands for the list on standard input.
STDIN = "-"


def find_inputs(
    inputs: Iterable[str | Path], suffixes: Collection[str] = IMAGE_SUFFIXES, leave_out: Path | None = None
) -> Iterator[str | Failure]:
    """Files that inputs name: themselves, or what folders hold (all levels, sorted), or what patterns match (sorted).

    Args:
        inputs: Files, folders, and patterns such as ``"study/**/*.png"``; a file that really is so called is meant as
            the file.
        suffixes: What folders are searched for, in lower case.
        leave_out: A folder that is not searched: results that lie among the inputs.

    Yields:
        Paths as they were given, or below the folder as it was given. A :class:`Failure` stands for a folder without
        any and a pattern that matches nothing.
    """
    for given in map(str, inputs):
        if Path(given).is_dir():
            yield from _folder(given, suffixes, leave_out)
        elif glob.has_magic(given) and not Path(given).exists():
            matched = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 keeps the paths as given
            if not matched:
                yield Failure(given, f"{given}: no file matches this pattern.")
            for path in matched:
                if Path(path).is_dir():
                    yield from _folder(path, suffixes, leave_out)
                else:
                    yield path
        else:
            yield given


def _folder(given: str, suffixes: Collection[str], leave_out: Path | None) -> Iterator[str | Failure]:
    without = leave_out.resolve() if leave_out else None
    found = sorted(
        path
        for path in Path(given).rglob("*")
        if path.suffix.lower() in suffixes and not (without and path.resolve().is_relative_to(without))
    )
    if not found:
        kinds = ", ".join(sorted(suffix[1:] for suffix in suffixes))
        yield Failure(given, f"{given}: the folder holds no images ({kinds}).")
    yield from map(str, found)


def listed(stream: BinaryIO) -> list[str]:
    """Paths of a list, one a line, or parted by NUL as by ``find -print0``; read to its end, without empty lines."""
    data = stream.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(line) for line in lines if line.strip()]


def expand(path: str, every: int, done: Counter[str]) -> Iterator[str | Frame | Failure]:
    """What of a file is still to be scored: itself, or each frame.

    A file that cannot be read stays one input, and fails as one.

    Args:
        path: A file, or the address of one frame.
        every: Of a video, every so many frames are taken, the first one included.
        done: How often an input has a record already; taken from as they are passed over.
    """
    suffix = Path(path).suffix.lower()
    if suffix in video.SUFFIXES:
        yield from video.frames(path, every, lambda name: _again(name, done))
        return
    try:
        addresses = [path] if suffix in _SINGLE else frames(path)
    except ImageError:
        addresses = [path]
    yield from (address for address in addresses if not _again(address, done))


def pending(failure: Failure, done: Counter[str]) -> Iterator[Failure]:
    """The failure, unless it has a record already."""
    if not _again(failure.input, done):
        yield failure


def _again(name: str, done: Counter[str]) -> bool:
    if not done[name]:
        return False
    done[name] -= 1
    return True
