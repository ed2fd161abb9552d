"""``results.jsonl``: one line each input, whole lines only, and the way on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from medanomaly.edge.bundle import Bundle

RECORDS = "results.jsonl"
#: What the records beside it were made with.
MADE_WITH = "infer.json"


class ResumeError(ValueError):
    """A run cannot be gone on with. The message says why and what to do."""


class Records:
    """The records of a run, opened for appending.

    Args:
        out: Folder of the results; made if it is missing.
        bundle: What scores are made with; records of another bundle are never mixed in.
        resume: Go on after the records there; else they are replaced.
        key: Which key their inputs are hashed with, see :mod:`medanomaly.edge.anonymous`; None for paths.

    Attributes:
        path: The file.
        count: Records in it.

    Raises:
        ResumeError: if the records there are of another bundle, name inputs otherwise, or are not of this program.
        OSError: if ``out`` cannot be written.
    """

    def __init__(self, out: Path, bundle: Bundle, resume: bool, key: str | None = None) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.path, self.count = out / RECORDS, 0
        made_with = {"files": bundle.card["files"], "operating_point": bundle.card["operating_point"]}
        if resume and self.path.exists() and self.path.stat().st_size:
            _same(out, made_with, key)
        else:
            # Emptied first: a kill between the two must not leave old records under a new description.
            self.path.write_bytes(b"")
            named = {"bundle": str(bundle.path)} if key is None else {"anonymous": key}
            _write(out / MADE_WITH, {**named, **made_with})
        self._file = self.path.open("r+b", buffering=0)
        self._end = 0

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
        """
        with self.path.open("rb") as lines:
            for line in lines:
                record = _parsed(line)
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
            OSError: if it cannot be written; what stood there stays.
        """
        place = self.path.with_name(MADE_WITH)
        kept = json.loads(place.read_text(encoding="utf-8"))
        if {**kept, **found} != kept:
            _write(place, {**kept, **found})

    def append(self, record: dict[str, Any]) -> None:
        """Write a record as one line that has reached the system when this returns.

        Raises:
            OSError: if it cannot be written whole; no part of it stays.
        """
        text = json.dumps(record, ensure_ascii=False)
        try:
            line = text.encode()
        except UnicodeEncodeError:  # a file name that is not UTF-8
            line = json.dumps(record).encode()
        line += b"\n"
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


def _write(place: Path, content: dict[str, Any]) -> None:
    # Whole or not at all: without it nobody knows what made the records.
    part = place.with_name(f"{place.name}.part")
    part.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace")
    os.replace(part, place)  # noqa: PTH105


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "input" in record else None


def _same(out: Path, made_with: dict[str, Any], key: str | None) -> None:
    try:
        kept = json.loads((out / MADE_WITH).read_text(encoding="utf-8"))
        same = all(kept[key] == value for key, value in json.loads(json.dumps(made_with)).items())
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
