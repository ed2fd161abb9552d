"""Find the files that a table names, below the data's folder, also where another system wrote the paths."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from medanomaly.csv_cells import SHOWN, rest
from medanomaly.imaging import ImageError, inside, joined, several, split_frame

#: Of accented letters: one character, or a letter and its accent, as macOS writes names.
_SPELLINGS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class FoundFiles:
    """Looks paths up below a folder, and remembers what it found otherwise than it is written, and what it did not.

    A path is taken as it stands where there is such a file. Only else its backslashes are read as Windows means them,
    blanks around it are left out, and accented letters are looked for in either of Unicode's two spellings.

    Args:
        root: Folder of the data.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        #: One sentence for each path that cannot be used.
        self.problems: list[str] = []
        self._otherwise: dict[str, int] = {}

    def has(self, path: str) -> bool:
        """Whether a path names a file; or each of several, parted by ``|`` as masks of one image are."""
        parts = several(path)
        return self._look(path) is not None or (len(parts) > 1 and all(self._look(part) for part in parts))

    def find(self, path: str) -> str:
        """The full path, or address of a frame, that a cell means; the cell itself where that cannot be used.

        Args:
            path: Below the folder; ``stack.tif#frame=2`` names a frame.
        """
        found = self._look(path)
        if found is None:
            self.problems.append(self._problem(path))
            return path
        full, how = found
        if how:
            self._otherwise[how] = self._otherwise.get(how, 0) + 1
        return full

    def find_masks(self, cell: str) -> str:
        """As :meth:`find`, of one mask or of several of one image, parted by ``|``."""
        if self._look(cell) is not None:
            return self.find(cell)
        return joined(self.find(part) for part in several(cell))

    def listed(self) -> list[str]:
        """The first of the problems, and how many more there are."""
        return [*self.problems[:SHOWN], *filter(None, [rest(len(self.problems))])]

    def notes(self, name: str) -> list[str]:
        """One sentence for each way in which paths were found otherwise than they are written.

        Args:
            name: What the sentences call the table.
        """
        return [f"{name}: {number} paths found {how}." for how, number in self._otherwise.items()]

    def _look(self, path: str) -> tuple[str, str] | None:
        for form, how in _forms(path):
            try:
                full = inside(self.root, form)
                if split_frame(full)[0].is_file():
                    return str(full), how
            except (ImageError, OSError, ValueError):  # outside; a name too long; a zero byte
                continue
        return None

    def _problem(self, path: str) -> str:
        try:
            inside(self.root, path)
        except (ImageError, OSError, ValueError) as error:
            return str(error)
        if _DRIVE.match(path):
            return f"{path}: is a place on a Windows machine. Write the path below {self.root}"
        return f"{path}: no such file below {self.root}"


def _forms(path: str) -> Iterator[tuple[str, str]]:
    yield path, ""
    stripped = path.strip()
    ways = [(stripped, "without the blanks around them")] if stripped != path else []
    if "\\" in stripped:
        ways.append((stripped.replace("\\", "/"), "with \\ read as /"))
    for form, how in [(path, ""), *ways]:
        if how:
            yield form, how
        for kind in _SPELLINGS:
            other = unicodedata.normalize(kind, form)
            if other != form:
                yield other, f"{how + ', ' if how else ''}in Unicode's {kind} spelling"
