"""Marks and notes in SQLite: by image and bundle, whole after a crash, and never the image itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

FILE = "marks.sqlite3"
MARKS = ("agree", "disagree", "unsure")
_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS marks (
    bundle TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    mark TEXT, note TEXT NOT NULL, decision TEXT NOT NULL, raw_score REAL NOT NULL, threshold REAL NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (bundle, name, sha256)
) WITHOUT ROWID
"""


class StoreError(RuntimeError):
    """Marks cannot be kept. The message names the file and what to do."""


@dataclass(frozen=True)
class Key:
    """What a mark belongs to.

    Args:
        bundle: SHA-256 of the bundle's card, which names those of its other files: 64 hex digits.
        name: The image's name, with ``#frame=N`` for a frame.
        sha256: Of the image's file.
    """

    bundle: str
    name: str
    sha256: str


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
            with self._open() as base:
                version = base.execute("PRAGMA user_version").fetchone()[0]
                if version > _VERSION:
                    raise StoreError(f"{self.path}: was written by a newer version. Update medanomaly.")
                base.execute("PRAGMA journal_mode = WAL")
                base.execute(_TABLE)
                base.execute(f"PRAGMA user_version = {_VERSION}")
            self.path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{self.path}: marks cannot be kept there ({error}). Choose a folder by --marks."
            ) from error

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            base = sqlite3.connect(self.path, timeout=10)
            try:
                base.execute("PRAGMA synchronous = FULL")
                with base:
                    yield base
            finally:
                base.close()

    def put(self, key: Key, mark: Mark) -> None:
        """Keep a mark in place of an earlier one; one without mark and note takes it away.

        Raises:
            ValueError: if the mark is none of MARKS.
            sqlite3.Error: if it cannot be written.
        """
        if mark.mark is not None and mark.mark not in MARKS:
            raise ValueError(f"mark must be one of {', '.join(MARKS)}, not '{mark.mark}'")
        with self._open() as base:
            if mark.mark is None and not mark.note:
                base.execute(
                    "DELETE FROM marks WHERE bundle = ? AND name = ? AND sha256 = ?", (key.bundle, key.name, key.sha256)
                )
                return
            now = mark.time or datetime.now(timezone.utc).isoformat(timespec="seconds")
            values = (mark.mark, mark.note, mark.decision, mark.raw_score, mark.threshold, now)
            base.execute(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key.bundle, key.name, key.sha256, *values),
            )

    def of_bundle(self, bundle: str) -> Mapping[tuple[str, str], Mark]:
        """All marks on a bundle's decisions, by the image's name and SHA-256."""
        with self._open() as base:
            rows = base.execute(
                "SELECT name, sha256, mark, note, decision, raw_score, threshold, time FROM marks WHERE bundle = ?",
                (bundle,),
            ).fetchall()
        return {(name, digest): Mark(*rest) for name, digest, *rest in rows}
