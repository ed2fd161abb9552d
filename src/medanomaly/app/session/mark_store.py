"""Store marks and notes in SQLite: by image, bundle and reader, whole after a crash, never the image itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from medanomaly.errors import MedAnomalyError

FILE = "marks.sqlite3"
MARKS = ("agree", "disagree", "unsure")
#: Characters of a reader's name and of a note at most.
LONGEST_NAME, LONGEST_NOTE = 80, 2000
_VERSION = 2
#: Seconds that a locked file is waited for: the page answers within two, and tries again.
_WAIT = 0.7
_TABLE = """
CREATE TABLE IF NOT EXISTS marks (
    bundle TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, reader TEXT NOT NULL,
    mark TEXT, note TEXT NOT NULL, decision TEXT NOT NULL, raw_score REAL NOT NULL, threshold REAL NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (bundle, name, sha256, reader)
) WITHOUT ROWID
"""
#: Version 0.1.0 knew no readers: its marks stay, as those of the reader without a name.
_FROM_1 = (
    "ALTER TABLE marks RENAME TO marks_1",
    _TABLE,
    "INSERT INTO marks SELECT bundle, name, sha256, '', mark, note, decision, raw_score, threshold, time FROM marks_1",
    "DROP TABLE marks_1",
)

#: Marks of a bundle: by the image's name and SHA-256, then by the reader's name.
Marks = Mapping[tuple[str, str], Mapping[str, "Mark"]]


class StoreError(MedAnomalyError, RuntimeError):
    """Marks cannot be kept. The message names the file and what to do."""


@dataclass(frozen=True)
class Key:
    """What a mark belongs to.

    Args:
        bundle: SHA-256 of the bundle's card, which names those of its other files: 64 hex digits.
        name: The image's name, with ``#frame=N`` for a frame.
        sha256: Of the image's file.
        reader: Who made it, as he calls himself; empty for marks without a name.
    """

    bundle: str
    name: str
    sha256: str
    reader: str = ""


@dataclass(frozen=True)
class Mark:
    """A person's view of one decision.

    Args:
        mark: One of MARKS; None for a note alone.
        note: Any text.
        decision: ``abnormal`` or ``normal``, as it was shown.
        raw_score: Of the image.
        threshold: At which the decision was made.
        time: When, ISO 8601, UTC.
    """

    mark: str | None
    note: str
    decision: str
    raw_score: float
    threshold: float
    time: str = ""


class Store:
    """Marks in a file; may be used from several threads and by several processes.

    Args:
        folder: Made if it is missing, readable by its owner alone.

    Raises:
        StoreError: if the file cannot be opened, or was written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._open(10) as base:
                base.execute("PRAGMA journal_mode = WAL")
            with self._open(10) as base:
                base.execute("BEGIN IMMEDIATE")  # two servers that start at once move the layout once
                version = base.execute("PRAGMA user_version").fetchone()[0]
                if version > _VERSION:
                    raise StoreError(f"{self.path}: was written by a newer version. Update medanomaly.")
                for step in _FROM_1 if version == 1 else (_TABLE,):
                    base.execute(step)
                base.execute(f"PRAGMA user_version = {_VERSION}")
            self.path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{self.path}: marks cannot be kept there ({error}). Choose a folder by --marks."
            ) from error

    @contextmanager
    def _open(self, wait: float = _WAIT) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=wait):
            raise sqlite3.OperationalError("database is locked")
        try:
            base = sqlite3.connect(self.path, timeout=wait)
            try:
                base.execute("PRAGMA synchronous = FULL")
                with base:
                    yield base
            finally:
                base.close()
        finally:
            self._lock.release()

    def put(self, key: Key, mark: Mark) -> None:
        """Keep a mark in place of the reader's earlier one; one without mark and note takes it away.

        Raises:
            ValueError: if the mark is none of MARKS.
            sqlite3.Error: if it cannot be written.
        """
        self.put_all([(key, mark)])

    def put_all(self, marks: Iterable[tuple[Key, Mark]]) -> None:
        """:meth:`put` of several marks: all of them are kept, or none."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        marks = list(marks)
        for _, mark in marks:
            if mark.mark is not None and mark.mark not in MARKS:
                raise ValueError(f"mark must be one of {', '.join(MARKS)}, not '{mark.mark}'")
        with self._open() as base:
            for key, mark in marks:
                place = (key.bundle, key.name, key.sha256, key.reader)
                if mark.mark is None and not mark.note:
                    base.execute("DELETE FROM marks WHERE bundle = ? AND name = ? AND sha256 = ? AND reader = ?", place)
                    continue
                values = (mark.mark, mark.note, mark.decision, mark.raw_score, mark.threshold, mark.time or now)
                base.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, *values))

    def of_bundle(self, bundle: str) -> dict[tuple[str, str], dict[str, Mark]]:
        """All marks on a bundle's decisions: by the image's name and SHA-256, then by the reader's name.

        Raises:
            sqlite3.Error: if they cannot be read.
        """
        with self._open() as base:
            rows = base.execute(
                "SELECT name, sha256, reader, mark, note, decision, raw_score, threshold, time FROM marks "
                "WHERE bundle = ? ORDER BY reader",
                (bundle,),
            ).fetchall()
        found: dict[tuple[str, str], dict[str, Mark]] = {}
        for name, digest, reader, *rest in rows:
            found.setdefault((name, digest), {})[reader] = Mark(*rest)
        return found


def own(marks: Marks, reader: str | None) -> dict[tuple[str, str], Mark]:
    """A reader's own marks; None has none."""
    return {} if reader is None else {image: by[reader] for image, by in marks.items() if reader in by}


def seen_by(marks: Marks, reader: str | None) -> dict[tuple[str, str], dict[str, Mark]]:
    """What a reader may see: of the images that he has marked, everyone's marks; of the others none.

    A note alone is no mark: who has only written a note has not decided yet. None, of whom it is not known who reads,
    sees no mark.
    """
    if reader is None:
        return {}
    return {
        image: dict(by) if by[reader].mark is not None else {reader: by[reader]}
        for image, by in marks.items()
        if reader in by
    }
