"""Files as they arrive in a folder, each when it is complete."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from medanomaly.edge.result import Failure
from medanomaly.imaging import ImageError, inside

#: An empty file may be a name whose content is on the way: it waits so many times as long.
_EMPTY = 10


@dataclass
class _Seen:
    state: tuple[int, int, int]
    since: float


def arrivals(
    folder: Path,
    suffixes: Collection[str],
    settle: float,
    poll: float,
    wait: Callable[[float], bool],
    leave_out: Path | None = None,
) -> Iterator[str | Failure | None]:
    """Yield each file of a folder once, when its size and time have stood still; None when there is none for now.

    Files that lie there already come first. Hidden files and those of another suffix are passed over, so that a writer
    may use a name like ``.frame.png.part`` and rename. A link out of the folder is a :class:`Failure`; links to
    folders are not followed. A file that is written again keeps the record it has.

    Args:
        folder: The folder, watched with all that lies below.
        suffixes: What counts as an input, in lower case.
        settle: Seconds for which a file must not change; ten times as long for an empty one.
        poll: Seconds between looks.
        wait: Sleeps for so many seconds; True ends the watch.
        leave_out: A folder that is not looked into: results that lie below.
    """
    handed: set[str] = set()
    growing: dict[str, _Seen] = {}
    without = leave_out.resolve() if leave_out else None
    while True:
        now = time.monotonic()
        present = set(_files(folder, suffixes, without)) - handed
        growing = {path: seen for path, seen in growing.items() if path in present}
        for path in sorted(present):
            try:
                inside(folder, os.path.relpath(path, folder))
                found = Path(path).stat()
            except ImageError:
                handed.add(path)
                yield Failure(path, f"{path}: leads out of the watched folder {folder} through a link. Copy the file.")
                continue
            except OSError:  # gone or renamed since the look
                continue
            state = (found.st_size, found.st_mtime_ns, found.st_ino)
            seen = growing.get(path)
            if seen is None or seen.state != state:
                growing[path] = _Seen(state, now)
            elif now - seen.since >= settle * (1 if found.st_size else _EMPTY):
                handed.add(path)
                del growing[path]
                yield path
        yield None
        if wait(poll):
            return


def _files(folder: Path, suffixes: Collection[str], without: Path | None) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (without is None or Path(parent, name).resolve() != without)
        ]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield str(Path(parent) / name)
