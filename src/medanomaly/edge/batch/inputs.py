"""Expand what a person names into inputs: files, folders, patterns, lists, and frames of files with several."""

from __future__ import annotations

import codecs
import errno
import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from medanomaly.edge import video
from medanomaly.edge.batch.patterns import matching
from medanomaly.edge.result import Failure, Frame
from medanomaly.imaging import IMAGE_SUFFIXES, PassedOver, frames, search, split_frame
from medanomaly.imaging.find_images import Places

#: Suffixes of formats that hold one picture.
_SINGLE = frozenset({".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp"})

#: The name that stands for the list on standard input.
STDIN = "-"

#: What a list may begin with, and how it is written then; the longest first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: A file that is not there is told by its reader, with the remedy.
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


def find_inputs(
    inputs: Iterable[str | Path | Failure],
    suffixes: Collection[str] = IMAGE_SUFFIXES,
    leave_out: Path | None = None,
    passed: PassedOver | None = None,
) -> Iterator[str | Failure]:
    """Files that inputs name: themselves, or what folders hold (all levels, sorted), or what patterns match (sorted).

    What folders and patterns bring is yielded once, whatever else names it; a file that is named twice by itself comes
    twice. Files of the system and of other kinds are passed over, see :func:`medanomaly.imaging.search`; a file that is
    named is tried.

    Args:
        inputs: Files, folders, and patterns such as ``"study/**/*.png"``; a file that really is so called is meant as
            the file. A failure is passed on.
        suffixes: What folders are searched for, in lower case; where ``.dcm`` is among them, also for DICOM files of
            other names.
        leave_out: A folder that is not searched: results that lie among the inputs.
        passed: Takes in what is passed over.

    Yields:
        Paths as they were given, or below the folder as it was given. A :class:`Failure` stands for a folder without
        any, a folder that cannot be looked into and a pattern that matches nothing.
    """
    passed = PassedOver() if passed is None else passed
    places, named, brought = Places(), set(), set()
    for given in inputs:
        if isinstance(given, Failure):
            yield given
            continue
        name = os.fspath(given)
        try:
            brings = _brought(name, suffixes, leave_out, passed)
        except (OSError, ValueError) as error:  # what a name provokes is its record, and the run goes on
            yield Failure(name, f"{name}: cannot be looked into ({_why(error)}).")
            continue
        if brings is None:
            try:
                place = places.of(name)
            except (OSError, ValueError):  # no name of a file, which is said below
                place = name
            if place not in brought:
                named.add(place)
                yield _refused(name) or name
            continue
        for item in brings:
            if isinstance(item, Failure):
                yield item
                continue
            place = places.of(item)
            if place not in brought and place not in named:
                yield item
            brought.add(place)


def _brought(
    name: str, suffixes: Collection[str], leave_out: Path | None, passed: PassedOver
) -> list[str | Failure] | None:
    """What a folder or a pattern brings; None for the name of a file."""
    own = PassedOver()
    if os.path.isdir(name):  # noqa: PTH112 (False for names that are too long)
        found = search(name, suffixes, leave_out)
        own, files, closed = found.passed, [str(path) for path in found.files], found.closed
        kinds = ", ".join(sorted(suffix[1:] for suffix in suffixes))
        nothing = f"{name}: the folder holds no images ({kinds})."
    elif glob.has_magic(name) and not os.path.lexists(name):
        files, closed, any_match = matching(name, suffixes, leave_out, own)
        what = "what matches this pattern holds no images" if any_match else "no file matches this pattern"
        nothing = f"{name}: {what}."
    else:
        return None
    passed.add(own)
    items: list[str | Failure] = [closed_folder(path, why) for path, why in closed]
    if not files and not closed:
        items.append(Failure(name, f"{nothing} {own.sentence()}".rstrip()))
    return items + files


def closed_folder(path: str | Path, why: str) -> Failure:
    """The failure of a folder that cannot be looked into."""
    return Failure(str(path), f"{path}: the folder cannot be looked into ({why}). Allow reading it.")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refused(path: str) -> Failure | None:
    """The failure of a file that the system refuses to look at: a name that is too long, a folder that is closed."""
    if not path:  # would stand for the folder one is in
        return Failure(path, f"{path}: is no name of a file (it is empty).")
    try:
        os.stat(path)  # noqa: PTH116
    except ValueError as error:  # NUL, or what the system's encoding lacks
        return Failure(path, f"{path}: is no name of a file ({error}).")
    except OSError as error:
        if error.errno not in ABSENT:
            return Failure(path, f"{path}: cannot be read ({_why(error)}).")
    return None


def listed(stream: BinaryIO) -> list[str]:
    """Paths of a list, one a line, or parted by NUL as by ``find -print0``; read to its end, without empty lines.

    Raises:
        ValueError: if it cannot be read, is written in UTF-16 or UTF-32 and does not say so, or is not whole.
    """
    try:
        data = stream.read()
    except OSError as error:
        raise ValueError(f"the list on standard input cannot be read ({error.strerror or error})") from error
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if encoding is not None:
        try:
            lines = re.split(r"\r\n|\r|\n|\0", data.decode(encoding))
        except UnicodeError as error:
            raise ValueError(
                f"the list on standard input begins as {encoding.upper()} and is not whole ({error}). Write it as UTF-8"
            ) from error
        return [line for line in (line.removeprefix("\ufeff") for line in lines) if line.strip()]
    if _wide(data):
        raise ValueError("the list on standard input looks like UTF-16 without its mark. Write it as UTF-8")
    lines_of_bytes = data.split(b"\0") if b"\0" in data else data.splitlines()
    if data.startswith(codecs.BOM_UTF8):  # of several such lists, one after the other, each may begin with it
        lines_of_bytes = [line.removeprefix(codecs.BOM_UTF8) for line in lines_of_bytes]
    return [os.fsdecode(line) for line in lines_of_bytes if line.strip()]


def _wide(data: bytes) -> bool:
    """Whether letters have several bytes: of a list parted by NUL nearly no name has a single letter."""
    zeros = [data[start::2].count(0) for start in (0, 1)]
    if b"\r\0\n\0" in data or b"\0\r\0\n" in data or (len(data) >= 8 and max(zeros) >= 0.8 * (len(data) // 2)):
        return True
    # In scripts that are not Latin, only the ends of lines hold a zero, and letters look like control characters.
    units = {data[place : place + 2] for place in range(0, len(data), 2)}
    return not units.isdisjoint({b"\n\0", b"\0\n"}) and not _plain(data)


def _plain(data: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters, as names of files are."""
    try:
        return not re.search("[\x01-\x08\x0e-\x1f]", data.decode())
    except UnicodeDecodeError:
        return False


def expand(path: str, every: int, done: Counter[str]) -> Iterator[str | Frame | Failure]:
    """What of a file is still to be scored: itself, or each frame.

    A file that cannot be read stays one input, and fails as one.

    Args:
        path: A file, or the address of one frame.
        every: Every Nth frame of a video is taken, from the first on.
        done: How often an input has a record already; taken from as they are passed over.

    Yields:
        A path, a frame, or a :class:`Failure` in place of an exception.
    """
    yield from parts(path, every, lambda name: _again(name, done))


def parts(path: str, every: int, skip: Callable[[str], bool]) -> Iterator[str | Frame | Failure]:
    """:func:`expand`, without the addresses that ``skip`` says True to."""
    try:
        yield from _parts(path, every, skip)
    except Exception as error:  # whatever a file provokes is its record, and the run goes on
        if not skip(path):
            yield Failure(path, f"{path}: cannot be read ({_why(error)}).")


def _parts(path: str, every: int, skip: Callable[[str], bool]) -> Iterator[str | Frame | Failure]:
    suffix = Path(path).suffix.lower()
    if suffix in video.SUFFIXES:
        yield from video.frames(path, every, skip)
        return
    file, number = split_frame(path)
    if number is not None and file.suffix.lower() in video.SUFFIXES:
        if not skip(path):
            yield video.single(str(file), number)
        return
    try:
        addresses = [path] if suffix in _SINGLE else frames(path)
    except Exception:  # the detector meets it again, and says it
        addresses = [path]
    yield from (address for address in addresses if not skip(address))


def pending(failure: Failure, done: Counter[str]) -> Iterator[Failure]:
    """The failure, unless it has a record already."""
    if not _again(failure.input, done):
        yield failure


def _again(name: str, done: Counter[str]) -> bool:
    if not done[name]:
        return False
    done[name] -= 1
    return True
