"""Expand patterns such as ``study/**/*.png`` into files, each once, whatever links and folders they match."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from medanomaly.imaging.find_images import Found, of_system, reason_against, search
from medanomaly.imaging.skipped_files import SYSTEM, PassedOver

_ANY_DEPTH = "**"
#: What the system says of a name that is not there, or is no folder.
_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True)
class _Pattern:
    """A pattern, taken apart.

    Args:
        base: What stands before the first part with a wildcard, as it was written, with the separator.
        parts: The parts from there on.
        folders: Whether it ends with a separator, and so means folders alone.
    """

    base: str
    parts: tuple[str, ...]
    folders: bool = False

    @classmethod
    def of(cls, text: str) -> _Pattern:
        """A text that holds a wildcard."""
        if os.altsep:  # Windows reads both
            text = text.replace(os.altsep, os.sep)
        parts = text.split(os.sep)  # noqa: PTH206 keeps what Path would tidy
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = "".join(part + os.sep for part in parts[:first])
        return cls(base, tuple(part for part in parts[first:] if part), text.endswith(os.sep))

    @property
    def start(self) -> str:
        """The base as glob writes it, without repeated separators at its end."""
        folder = os.path.dirname(self.base + "x")  # noqa: PTH120 keeps what Path would tidy
        return os.path.join(folder, "") if folder else ""  # noqa: PTH118

    @property
    def deep(self) -> bool:
        """Whether a part of it stands for any number of folders."""
        return _ANY_DEPTH in self.parts

    @property
    def says_nothing(self) -> bool:
        """Whether the last part fits every name: then files are chosen as in a folder."""
        return not self.parts[-1].strip("*") or self.parts[-1] == "*.*"

    def system(self, name: str) -> bool:
        """Whether a name is of the system and the pattern does not ask for it."""
        return of_system(name) and not any(fnmatchcase(name, part) for part in self.parts if part[0] not in "*?[")


def matching(
    text: str, suffixes: Collection[str], leave_out: Path | None, passed: PassedOver
) -> tuple[list[str], list[tuple[Path, str]], bool]:
    """The files that a pattern brings: those that match, and the images below folders that match; sorted.

    Names of the system are passed over unless the pattern names them. A pattern that ends with ``*`` or ``**`` brings
    images alone.

    Args:
        text: The pattern, as :mod:`glob` reads it.
        suffixes, leave_out: As for :func:`medanomaly.imaging.find_images.search`.
        passed: Takes in what is passed over.

    Returns:
        The files, below the path that the pattern begins with as it was written; folders that could not be looked into,
        and why; and whether anything matches at all.
    """
    pattern = _Pattern.of(text)
    if pattern.deep:
        return _deep(pattern, suffixes, leave_out, passed)
    files: list[str] = []
    matched, closed = _shallow(pattern)
    for path in sorted(matched):
        if any(pattern.system(part) for part in Path(path[len(pattern.start) :]).parts):
            passed.note(SYSTEM)
        elif os.path.isdir(path):  # noqa: PTH112
            found = search(path, suffixes, leave_out)
            files += map(str, found.files)
            passed.add(found.passed)
            closed += found.closed
        else:
            files.append(path)
    if pattern.says_nothing:
        files = _images(files, suffixes, passed)
    return files, closed, bool(matched)


def _shallow(pattern: _Pattern) -> tuple[list[str], list[tuple[Path, str]]]:
    """What matches a pattern without ``**``, as :func:`glob.glob` finds it; and folders that could not be looked into.

    glob itself passes over these without a word.
    """
    found, closed = [pattern.start], []
    for number, part in enumerate(pattern.parts):
        last, inner = number == len(pattern.parts) - 1, []
        for parent in found:
            try:
                names = _matching_names(parent, part)
            except OSError as error:
                if error.errno not in _NO_FOLDER:
                    closed.append((Path(parent or os.curdir), error.strerror or str(error)))
                continue
            inner += [parent + name if last else parent + name + os.sep for name in names]
        found = inner
    if pattern.folders:
        found = [path for path in found if os.path.isdir(path)]  # noqa: PTH112
    return found, closed


def _matching_names(folder: str, part: str) -> list[str]:
    """Names in a folder that match one part of a pattern; wildcards match hidden names only where the part is hidden.

    Raises:
        OSError: if nobody can say.
    """
    if not glob.has_magic(part):
        os.lstat(folder + part)
        return [part]
    with os.scandir(folder or os.curdir) as entries:
        names = [entry.name for entry in entries]
    return [name for name in fnmatch.filter(names, part) if part.startswith(".") or not name.startswith(".")]


def _deep(
    pattern: _Pattern, suffixes: Collection[str], leave_out: Path | None, passed: PassedOver
) -> tuple[list[str], list[tuple[Path, str]], bool]:
    # glob itself would go round in circles of links.
    top = pattern.base or os.curdir
    every = search(top, None, leave_out, pattern.system) if _is_folder(top) else Found()
    passed.add(every.passed)
    named: list[str] = []
    below: list[str] = []
    for file in every.files:
        parts = file.relative_to(top).parts
        path = pattern.base + str(file.relative_to(top))
        if _fits(parts, pattern.parts):
            (below if pattern.says_nothing else named).append(path)
        elif any(_fits(parts[:depth], pattern.parts) for depth in range(1, len(parts))):
            below.append(path)
    files = sorted([*named, *_images(below, suffixes, passed)], key=Path)
    return files, every.closed, bool(named or below)


def _is_folder(path: str) -> bool:
    """Whether a path is a folder.

    Raises:
        OSError: if nobody can say, because a folder above is closed.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return False
        raise


def _images(paths: Sequence[str], suffixes: Collection[str], passed: PassedOver) -> list[str]:
    found = []
    for path in paths:
        reason = reason_against(path, suffixes)
        if reason is None:
            found.append(path)
        else:
            passed.note(reason, path)
    return found


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern, of which ``**`` stands for any number of folders."""
    if not wanted:
        return not parts
    if wanted[0] == _ANY_DEPTH:
        return any(_fits(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])
