"""Retry files of a watched folder that could not be read: which failure waits, and which is recorded.

A file that cannot be read may be incomplete, because its writer paused for longer than a file must stand still. So the
failure of a whole file waits until the file has stood still for longer, and is dropped if the file can be read by then:
an input has one record. What changes after its failure was recorded is tried again: if it can be read now, a second
record follows, and the last one of an input counts. A failure never follows a failure, so that a file has at most these
two, however often it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from medanomaly.edge.result import Failure, Result


@dataclass
class _File:
    """What failed of a file.

    Args:
        recorded: Addresses whose record is a failure, the file's own or of its frames, and whether that is of an
            earlier run.
        last: The highest number of a frame that came out.
        waiting: The failure of the whole file that is not recorded yet.
        failed: Whether the last try had a failure.
    """

    recorded: dict[str, bool] = field(default_factory=dict)
    last: int = 0
    waiting: Failure | None = None
    failed: bool = False


class Tries:
    """What came of the files of a watched folder.

    Args:
        called: What records call a path, or the address of a frame; that of a frame is that of its file, and
            ``#frame=N``.

    Attributes:
        mended: What failed by a record of this run and was read later, as records call it.
        mended_before: How many failures of an earlier run are so.
    """

    def __init__(self, called: Callable[[str], str] = str) -> None:
        self.called = called
        self.mended: list[str] = []
        self.mended_before = 0
        self._files: dict[str, _File] = {}
        self._handed: set[str] = set()

    def remember(self, record: dict[str, Any]) -> None:
        """Take in a record of an earlier run."""
        name = str(record["input"])
        file, number = _parted(name)
        if record.get("status") == "failed":
            self._file(file, number).recorded[name] = True
        elif file in self._files:
            self._good(file, name, number)

    def hand(self, path: str) -> None:
        """A file is handed on to be read: outcomes of this name, or of its frames, are about it."""
        name = self.called(path)
        self._handed.add(name)
        if name in self._files:
            self._files[name].failed = False

    def looked(self) -> None:
        """All that was handed on has come out."""
        for path in self._handed & self._files.keys():
            file = self._files[path]
            if not file.failed:  # where a video broke off, which is not always a frame that is scored
                self._mend(file, set(file.recorded))
        self._handed.clear()
        self._files = {path: file for path, file in self._files.items() if file.recorded or file.waiting}

    def takes(self, outcome: Result | Failure) -> bool:
        """Whether an outcome becomes a record now; a failure may wait, or have its record already."""
        name = self.called(outcome.input)
        file, number = (name, 0) if name in self._handed else _parted(name)
        if file not in self._handed:
            return True
        if isinstance(outcome, Result):
            if file in self._files:
                self._good(file, name, number)
            return True
        known = self._file(file, number)
        known.failed = True
        if name in known.recorded:
            return False
        if name == file:
            known.waiting = outcome
            return False
        known.recorded[name] = False
        return True

    def failing(self, path: str) -> bool:
        """Whether a file, or a frame of it, could not be read so far."""
        return self.called(path) in self._files

    def waiting(self, path: str) -> bool:
        """Whether the failure of a file waits."""
        file = self._files.get(self.called(path))
        return file is not None and file.waiting is not None

    def give_up(self, path: str) -> Failure:
        """The failure that waits, to be recorded."""
        failure = self._files[self.called(path)].waiting
        assert failure is not None  # asked by whoever knows that it waits
        self.refuse(failure)
        return failure

    def refuse(self, failure: Failure) -> None:
        """A file's failure is recorded without waiting."""
        name = self.called(failure.input)
        file = self._file(name, 0)
        file.recorded[name], file.waiting = False, None

    def rest(self) -> Iterator[Failure]:
        """The failures that still wait at the end: every input has its record."""
        for file in self._files.values():
            if file.waiting:
                yield file.waiting

    def again(self, path: str) -> Callable[[str], bool] | None:
        """Whether a frame came out well before, of a file that was handed on again; None for one that is new."""
        called = self.called(path)
        if called not in self._handed or called not in self._files:
            return None
        file = self._files[called]
        return lambda name: self.called(name) not in file.recorded and 0 < _parted(name)[1] <= file.last

    def _file(self, path: str, number: int) -> _File:
        file = self._files.setdefault(path, _File())
        file.last = max(file.last, number)
        return file

    def _good(self, path: str, name: str, number: int) -> None:
        file = self._file(path, number)
        file.waiting = None
        self._mend(file, {name, path})

    def _mend(self, file: _File, addresses: set[str]) -> None:
        for address in addresses & file.recorded.keys():
            if file.recorded.pop(address):
                self.mended_before += 1
            else:
                self.mended.append(address)


def _parted(name: str) -> tuple[str, int]:
    """The file and the number of an address; 0 for a file's own name."""
    file, mark, number = name.rpartition("#frame=")
    return (file, int(number)) if mark and number.isascii() and number.isdigit() else (name, 0)
