"""The directories that ``Folder`` is told of: found, or named with the nearest that is there."""

from __future__ import annotations

from pathlib import Path

from medanomaly.data.find_files import directory
from medanomaly.imaging import search
from medanomaly.imaging.find_images import of_system
from medanomaly.options import nearest


def found(root: Path, name: str) -> Path | None:
    """A directory below ``root``; upper and lower case, blanks, ``-`` and ``_`` aside where none is so called."""
    return root / name if (root / name).is_dir() else directory(root, [name])


def hint(root: Path, name: str) -> str:
    """The nearest directory's name, as the end of a sentence; empty if there is none like it."""
    close = nearest(name, _below(root)) or nearest(Path(name).name, [Path(other).name for other in _below(root)])
    return f"; the nearest is '{close}'" if close else ""


def inside(top: Path, other: Path) -> Path | None:
    """Where another directory lies inside ``top``; None if it does not."""
    real, place = top.resolve(), other.resolve()
    return top / place.relative_to(real) if place.is_relative_to(real) else None


def unused(root: Path, used: list[Path]) -> dict[str, int]:
    """Directories directly below ``root`` that hold images and are none of ``used``, nor hold one; and how many."""
    places = [path.resolve() for path in used]
    numbers = {}
    for path in sorted(root.iterdir()):
        if path.is_dir() and not of_system(path.name) and not any(p.is_relative_to(path.resolve()) for p in places):
            numbers[path.name] = len(search(path).files)
    return {name: number for name, number in numbers.items() if number}


def _below(root: Path) -> list[str]:
    first = [path for path in sorted(root.iterdir()) if path.is_dir() and not of_system(path.name)]
    second = [inner for path in first for inner in sorted(path.iterdir()) if inner.is_dir()]
    return [path.relative_to(root).as_posix() for path in (*first, *second)]
