"""Patterns such as ``study/**/*.png`` become files, each once, whatever links and folders they match."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from medanomaly.imaging.passed_over import SYSTEM, PassedOver
from medanomaly.imaging.search import Found, of_system, reason_against, search

_ANY_DEPTH = "**"


@dataclass(frozen=True)
class _Pattern:
    """A pattern, taken apart.

    Args:
        base: What stands before the first part with a wildcard, as it was written, with the separator.
        parts: The parts from there on.
    """

    base: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Pattern:
        """A text that holds a wildcard."""
        parts = text.split(os.sep)  # noqa: PTH206 keeps what Path would tidy
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = "".join(part + os.sep for part in parts[:first])
        return cls(base, tuple(part for part in parts[first:] if part))

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
        suffixes, leave_out: As for :func:`medanomaly.imaging.search.search`.
        passed: Takes in what is passed over.

    Returns:
        The files, below the path that the pattern begins with as it was written; folders that could not be looked into,
        and why; and whether anything matches at all.
    """
    pattern = _Pattern.of(text)
    if pattern.deep:
        return _deep(pattern, suffixes, leave_out, passed)
    files: list[str] = []
    closed: list[tuple[Path, str]] = []
    matched = sorted(glob.glob(text))  # noqa: PTH207 keeps the paths as given
    for path in matched:
        if any(pattern.system(part) for part in Path(path[len(pattern.base) :]).parts):
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


def _deep(
    pattern: _Pattern, suffixes: Collection[str], leave_out: Path | None, passed: PassedOver
) -> tuple[list[str], list[tuple[Path, str]], bool]:
    # glob itself would go round in circles of links.
    top = pattern.base or os.curdir
    every = search(top, None, leave_out, pattern.system) if os.path.isdir(top) else Found()  # noqa: PTH112
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
