"""Find a run's images that were moved since."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from medanomaly.edge import Failure
from medanomaly.edge.batch.infer_inputs import find_inputs
from medanomaly.imaging import split_frame


class MovedFiles:
    """Files, found by the end of the path that they had elsewhere.

    Args:
        place: A file, or a folder that is searched on all levels.
    """

    def __init__(self, place: str | Path) -> None:
        self._by_name: dict[str, list[tuple[str, ...]]] = {}
        for path in _files(place):
            parts = PurePath(path).parts
            self._by_name.setdefault(parts[-1], []).append(parts)

    def of(self, path: str) -> str | None:
        """The file whose path has the longest end in common with ``path``; None if there is none, or two alike."""
        file, frame = split_frame(path)
        wanted = _parts(file)
        ranked = sorted(((_common(parts, wanted), parts) for parts in self._by_name.get(wanted[-1], ())), reverse=True)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return str(PurePath(*ranked[0][1])) + ("" if frame is None else f"#frame={frame}")


def _parts(path: Path) -> tuple[str, ...]:
    # A run that was made on another system has its separators.
    return tuple(part for part in re.split(r"[\\/]", str(path)) if part)


def _common(first: Iterable[str], second: Iterable[str]) -> int:
    number = 0
    for a, b in zip(reversed(tuple(first)), reversed(tuple(second)), strict=False):
        if a != b:
            break
        number += 1
    return number


def _files(place: str | Path) -> list[str]:
    return [path for path in find_inputs([place]) if not isinstance(path, Failure)]
