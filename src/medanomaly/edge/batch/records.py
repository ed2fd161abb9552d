"""Write and resume ``results.jsonl``: one whole line for each input, also after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from medanomaly.edge.batch import output_ownership
from medanomaly.edge.batch.output_errors import OutputError, writing
from medanomaly.edge.batch.output_ownership import CLAIMED, FOLDERS, MADE_WITH, RECORDS, OutError
from medanomaly.edge.bundle import Bundle
from medanomaly.errors import MedAnomalyError
from medanomaly.files import write_whole
from medanomaly.folder_lock import only_writer


class ResumeError(MedAnomalyError, ValueError):
    """A run cannot be gone on with. The message says why and what to do."""


@contextmanager
def sole_writer(out: Path, bundle: Bundle, writes: Collection[str], resume: bool) -> Iterator[None]:
    """Be the only one that writes results into a folder, which is made if it is missing.

    Args:
        out: The folder.
        bundle: What scores are made with.
        writes: Folders in it that the run writes into.
        resume: Whether records there are kept; else they will be replaced.

    Raises:
        OneWriterError: if another process or thread writes into it.
        OutError: if what is in it is not ours and would be lost or mixed in; see
            :mod:`medanomaly.edge.batch.output_ownership`.
        OutputError: if it cannot be written.
    """
    made = not os.path.lexists(out)
    try:
        with ExitStack() as stack:
            with writing(out):
                output_ownership.check_place(out, bundle.path)
                out.mkdir(parents=True, exist_ok=True)
                remedy = "Wait for its end, or name another folder for the results."
                stack.enter_context(only_writer(out, remedy))
                output_ownership.check(out, writes, resume)
            yield
    except BaseException:
        if made:
            with suppress(OSError):  # not empty
                out.rmdir()
        raise


class Records:
    """The records of a run, opened for appending; to be made within :func:`sole_writer`.

    Args:
        out: Folder of the results.
        bundle: What scores are made with; records of another bundle are never mixed in.
        resume: Go on after the records there; else they are taken away, with the pictures that belong to them.
        writes: Folders in it that the run writes into.
        key: Which key their inputs are hashed with, see :mod:`medanomaly.edge.batch.anonymous`; None for paths.

    Attributes:
        path: The file.
        count: Records in it.

    Raises:
        ResumeError: if the records there are of another bundle, name inputs otherwise, or are not of this program.
        OutError: if what would be replaced is not ours.
        OutputError: if ``out`` cannot be written.
    """

    def __init__(
        self, out: Path, bundle: Bundle, resume: bool, writes: Collection[str] = FOLDERS, key: str | None = None
    ) -> None:
        self.path, self.count, self._end = out / RECORDS, 0, 0
        made_with = {"files": bundle.card["files"], "operating_point": bundle.card["operating_point"]}
        with writing(self.path):
            out.mkdir(parents=True, exist_ok=True)
            output_ownership.finish_clearing(out)
            if resume and self.path.exists() and self.path.stat().st_size:
                kept = _same(out, made_with, key)
                self.describe(**{CLAIMED: sorted({*output_ownership.claimed(kept), *writes})})
            else:
                output_ownership.clear(out)
                # Emptied first: a kill between the two must not leave old records under a new description.
                self.path.touch()
                named = {"bundle": str(bundle.path)} if key is None else {"anonymous": key}
                _write(out / MADE_WITH, {**named, **made_with, CLAIMED: sorted(writes)})
            self._file = self.path.open("r+b", buffering=0)

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def before(self) -> Iterator[dict[str, Any]]:
        """Records of the run so far; to be read to the end before the first :meth:`append`.

        A last line without an end, as a kill leaves it, is cut off: its input is done again.

        Raises:
            ResumeError: if another line is no record.
            OutputError: if they cannot be read, or the torn line not be cut off.
        """
        with writing(self.path):
            yield from self._before()

    def _before(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as lines:
            for line in lines:
                record = output_ownership.is_record(line)
                if record is None:
                    if lines.read(1):
                        raise ResumeError(
                            f"{self.path}: line {self.count + 1} is no record. Take it out, or choose another folder."
                        )
                    break
                self._end += len(line)
                self.count += 1
                yield record
        self._file.truncate(self._end)

    def describe(self, **found: Any) -> None:
        """Add to what the records were made with; values are plain JSON.

        Raises:
            OutputError: if it cannot be written; what stood there stays.
        """
        place = self.path.with_name(MADE_WITH)
        with writing(place):
            kept = json.loads(place.read_text(encoding="utf-8"))
            if {**kept, **found} != kept:
                _write(place, {**kept, **found})

    def append(self, record: dict[str, Any]) -> None:
        """Write a record as one line that has reached the system when this returns.

        Raises:
            ValueError: if a number in it is NaN or infinite, which JSON does not have.
            OutputError: if it cannot be written whole, and no part of it stays; or if the file is no longer the one
                that this run has written, because another process changed, replaced or took it away.
        """
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        try:
            line = text.encode()
        except UnicodeEncodeError:  # a file name that is not UTF-8
            line = json.dumps(record, allow_nan=False).encode()
        line += b"\n"
        self.check_alone()
        with writing(self.path):
            try:
                self._file.seek(self._end)
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
            except BaseException:
                self._file.truncate(self._end)
                raise
        self._end += len(line)
        self.count += 1

    def check_alone(self) -> None:
        """See that the file is still the one that this run writes; the lock binds only those who ask for it.

        Raises:
            OutputError: if another process changed, replaced or took it away.
        """
        with writing(self.path):
            there, ours = self.path.stat(), os.fstat(self._file.fileno())
        # Some file systems in user space number a file anew at each look: there size and time tell.
        same = os.path.samestat(there, ours) or there.st_mtime_ns == ours.st_mtime_ns
        if not same or there.st_size != self._end or ours.st_size != self._end:
            raise OutputError(None, "another process has changed or replaced it meanwhile", os.fspath(self.path))


def _write(place: Path, content: dict[str, Any]) -> None:
    # Whole or not at all: without it nobody knows what made the records.
    write_whole(place, (json.dumps(content, ensure_ascii=False) + "\n").encode(errors="replace"))


def _same(out: Path, made_with: dict[str, Any], key: str | None) -> dict[str, Any]:
    try:
        kept = output_ownership.made_with(out)
        if kept is None:
            raise OutError("there is none")
        same = all(kept[name] == value for name, value in json.loads(json.dumps(made_with)).items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(
            f"{out}: has records but no readable {MADE_WITH} ({error}), so that nobody knows what made them. Choose "
            "another folder, or leave out --resume to replace them."
        ) from error
    if not same:
        raise ResumeError(
            f"{out}: its records were made with {kept.get('bundle', 'a bundle')}, another bundle or operating point. "
            "Choose another folder, or leave out --resume to replace them."
        )
    if kept.get("anonymous") != key:
        raise ResumeError(f"{out}: {_named_otherwise(kept.get('anonymous'), key)}")
    return kept


def _named_otherwise(kept: str | None, key: str | None) -> str:
    """Why a run cannot go on whose inputs are named in another way: it would do all of them again."""
    if kept is None:
        return (
            "its records name their inputs by path. Go on without --anonymous, choose another folder, or leave out "
            "--resume to replace them."
        )
    if key is None:
        return (
            "its records are of a run with --anonymous. Go on with --anonymous, choose another folder, or leave out "
            "--resume to replace them."
        )
    return (
        "its records are of a run with --anonymous and another key. Name that key with --anonymous-key, choose another "
        "folder, or leave out --resume to replace them."
    )
