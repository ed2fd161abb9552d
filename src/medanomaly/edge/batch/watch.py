"""Watch a folder and hand on each file once it is complete."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medanomaly.edge.batch.inputs import ABSENT, closed_folder
from medanomaly.edge.batch.watch_retries import Tries
from medanomaly.edge.result import Failure
from medanomaly.folder_lock import OWN
from medanomaly.imaging import ImageError, inside, looks_like_dicom
from medanomaly.imaging.find_images import known_kind, maybe_dicom, of_system, opens, result_folders, unfinished
from medanomaly.imaging.skipped_files import LINKED, OTHER, RESULTS, SYSTEM, UNFINISHED, PassedOver

#: An empty file may be a name whose content is on the way: it waits this many times as long.
_EMPTY = 10

_State = tuple[int, int, int]


@dataclass
class _Seen:
    state: _State | None
    since: float


def _state(path: str) -> _State:
    """Size, time and number of a file; of a link without target those of the link itself, like an empty file's.

    Raises:
        OSError: if it is gone.
    """
    try:
        found = Path(path).stat()
        return found.st_size, found.st_mtime_ns, found.st_ino
    except OSError:
        link = Path(path).lstat()
        if not stat.S_ISLNK(link.st_mode):
            raise
        return 0, link.st_mtime_ns, link.st_ino


def arrivals(
    folder: Path,
    suffixes: Collection[str],
    settle: float,
    poll: float,
    wait: Callable[[float], bool],
    leave_out: Path | None = None,
    passed: PassedOver | None = None,
    tries: Tries | None = None,
) -> Iterator[str | Failure | None]:
    """Yield each file of a folder once, when its size and time have stood still; None when there is none for now.

    Files that lie there already come first. Files of the system, hidden ones and those of other kinds are passed over,
    as :func:`medanomaly.imaging.find_images.search` does, so that a writer may use a name like ``.frame.png.part`` and
    rename. A file without a known suffix is an input if it is DICOM once it is complete. A link out of the folder is a
    :class:`Failure`, and so is a folder or file that may not be looked at, once; links to folders are not followed. A
    link that leads nowhere, or back to itself, waits as an empty file does. A file that is written again keeps the
    record it has, unless it could not be read: see :mod:`medanomaly.edge.batch.watch_retries`.

    Args:
        folder: The folder, watched with all that lies below.
        suffixes: What counts as an input, in lower case.
        settle: Seconds for which a file must not change; ten times as long for an empty one.
        poll: Seconds between looks.
        wait: Sleeps for a number of seconds; True ends the watch.
        leave_out: A folder that is not looked into: results that lie below.
        passed: Takes in what is passed over, each once.
        tries: Hears what is handed on, and knows what could not be read of it. Such a file comes again when it has
            changed, and its failure when it has stood still for ten times as long, or is gone.
    """
    tries = Tries() if tries is None else tries
    handed: set[str] = set()
    tried: dict[str, _Seen] = {}
    growing: dict[str, _Seen] = {}
    look = _Look(folder, suffixes, leave_out, PassedOver() if passed is None else passed)
    while True:
        now = time.monotonic()
        present = set(look.files())
        yield from look.news()
        for path in tried.keys() - present:
            tried[path] = _Seen(None, now)
            if tries.waiting(path):
                yield tries.give_up(path)
        present -= handed - tried.keys()
        growing = {path: seen for path, seen in growing.items() if path in present}
        for path in sorted(present):
            before = tried.get(path)
            try:
                inside(folder, os.path.relpath(path, folder))
                state = _state(path)
            except ImageError:
                tried[path] = _Seen(None, now)
                if not tries.failing(path):
                    handed.add(path)
                    text = f"{path}: leads out of the watched folder {folder} through a link. Copy the file."
                    tries.refuse(failure := Failure(path, text))
                    yield failure
                continue
            except OSError as error:  # gone or renamed since the look, or nobody may look at it
                if error.errno not in ABSENT:
                    tried[path] = _Seen(None, now)
                    if not tries.failing(path):
                        handed.add(path)
                        text = f"{path}: cannot be read ({error.strerror}). Allow reading it."
                        tries.refuse(failure := Failure(path, text))
                        yield failure
                continue
            if before is not None and before.state == state:
                if tries.waiting(path) and now - before.since >= settle * _EMPTY:
                    yield tries.give_up(path)
                continue
            seen = growing.get(path)
            if look.others.get(path) == state:
                look.pass_over(OTHER, path)
            elif seen is None or seen.state != state:
                growing[path] = _Seen(state, now)
            elif now - seen.since >= settle * (1 if state[0] else _EMPTY):
                del growing[path]
                if known_kind(path, suffixes) or looks_like_dicom(path) or not opens(path):
                    handed.add(path)
                    tried[path] = seen
                    tries.hand(path)
                    yield path
                else:  # looked into again when it changes
                    look.others[path] = state
                    look.pass_over(OTHER, path)
        look.end()
        yield None
        tries.looked()
        tried = {path: seen for path, seen in tried.items() if tries.failing(path)}
        if wait(poll):
            return


@dataclass
class _Look:
    """One look after the other; what is passed over is what the last one saw, so that a hidden name may be renamed."""

    folder: Path
    suffixes: Collection[str]
    leave_out: Path | None
    passed: PassedOver
    others: dict[str, _State] = field(default_factory=dict)
    _closed: dict[str, Failure | None] = field(default_factory=dict)
    _before: PassedOver = field(default_factory=PassedOver)
    _now: PassedOver = field(default_factory=PassedOver)

    def pass_over(self, reason: str, path: str) -> None:
        self._now.note(reason, path)

    def end(self) -> None:
        self.passed.replace(self._before, self._now)
        self._before, self._now = self._now, PassedOver()

    def news(self) -> Iterator[Failure]:
        """Folders that could not be looked into, each once."""
        for name, failure in self._closed.items():
            if failure is not None:
                self._closed[name] = None
                yield failure

    def _refused(self, error: OSError) -> None:
        name = str(error.filename)
        if error.errno not in ABSENT or Path(name) == self.folder:  # a folder below may come and go
            self._closed.setdefault(name, closed_folder(name, error.strerror or str(error)))

    def files(self) -> Iterator[str]:
        """What may be an input, by its name."""
        without = self.leave_out.resolve() if self.leave_out else None
        for parent, folders, names in os.walk(self.folder, onerror=self._refused):
            pictures, inner = result_folders(names), []
            for name in folders:
                path = Path(parent, name)
                reason = (
                    (of_system(name) and SYSTEM)
                    or (name in pictures and RESULTS)
                    or (path.is_symlink() and LINKED)
                    or None
                )
                if reason:
                    self.pass_over(reason, name)
                elif without is None or path.resolve() != without:
                    inner.append(name)
            folders[:] = inner
            for name in names:
                path = Path(parent, name)
                if name.startswith(OWN):  # of the run itself
                    continue
                if of_system(name) or unfinished(name):
                    self.pass_over(SYSTEM if of_system(name) else UNFINISHED, name)
                elif known_kind(name, self.suffixes) or (maybe_dicom(name, self.suffixes) and _file_or_unknown(path)):
                    yield str(path)
                else:
                    self.pass_over(OTHER, name)


def _file_or_unknown(path: Path) -> bool:
    """Whether a path is a regular file, or nobody may look at it."""
    try:
        return path.is_file()
    except OSError:
        return True
