"""Marks in memory over the store: quick to read, written at once; an error of the store never ends the page."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import LONGEST_NAME, LONGEST_NOTE, MARKS, Key, Mark, Marks, Store
from medanomaly.app.session.uploads import shown
from medanomaly.app.session.worklist import Item
from medanomaly.errors import MedAnomalyError

#: Seconds after which marks are read again: another server may write into the same file.
_FRESH = 2.0
#: Seconds that is waited for others who read or write; an answer comes within two.
_PATIENCE = 0.5
_NOTHING: tuple[float, Marks, str] = (float("-inf"), {}, "")


class MarkError(MedAnomalyError, ValueError):
    """A mark is refused, because what it says of its image is not so. The message says what."""


@dataclass(frozen=True)
class Asked:
    """A mark that a reader asks for.

    Args:
        item: The image that he saw.
        mark: One of MARKS, or None to take it away; ``...`` leaves it as it is.
        note: The note; ``...`` leaves it as it is.
        threshold: Of the operating point at which the mark was made; None for the one that is on the screen.
    """

    item: Item
    mark: Any = ...
    note: Any = ...
    threshold: float | None = None


class Marking:
    """Marks of all readers, as far as the file can be read.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Marks, str]] = {}
        #: Counts what was written or read anew: an answer of the same count holds the same marks.
        self.version = 0

    def of_bundle(self, bundle: str) -> tuple[Marks, str]:
        """All marks on a bundle's decisions, and why they may be old; the reason is empty if they are not."""
        # What is known is given without waiting for who writes: a locked file holds him up, and others after him.
        if (found := self._recent(bundle)) is not None:
            return found
        if not self._lock.acquire(timeout=_PATIENCE):
            return self._known.get(bundle, _NOTHING)[1], "marks cannot be read: others wait for the file"
        try:
            if (found := self._recent(bundle)) is not None:
                return found
            known, why = self._known.get(bundle, _NOTHING)[1], ""
            try:
                marks: Marks = self.store.of_bundle(bundle)
            except (sqlite3.Error, OSError) as error:
                # The file is not asked again at once: each answer would wait for it.
                marks, why = known, f"marks cannot be read: {error}"
            if marks != known:
                self.version += 1
            self._known[bundle] = (time.monotonic(), marks, why)
            return marks, why
        finally:
            self._lock.release()

    def _recent(self, bundle: str) -> tuple[Marks, str] | None:
        read, known, why = self._known.get(bundle, _NOTHING)
        return (known, why) if time.monotonic() - read < _FRESH else None

    def fresh(self, bundle: str) -> Marks:
        """All marks as the file holds them now.

        Raises:
            sqlite3.Error: if it cannot be read: an export must not lack marks without a word.
        """
        return self.store.of_bundle(bundle)

    def put(self, loaded: LoadedBundle, point: Point, reader: str, asked: Sequence[Asked]) -> list[dict[str, Any]]:
        """Keep a reader's marks, all or none.

        Args:
            loaded: The bundle whose decisions are marked.
            point: The operating point at which they were shown.
            reader: Who marks.
            asked: The marks.

        A note's characters that UTF-8 cannot hold are replaced; see :func:`storable`.

        Returns:
            For each, what its image bore before: ``number``, ``sha256``, ``mark``, ``note``, and the ``threshold`` at
            which it was made.

        Raises:
            MarkError: if an image has no score, or a mark is none.
            sqlite3.Error: if they cannot be written.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            raise sqlite3.OperationalError("database is locked, and others wait for it")
        try:
            known = self.store.of_bundle(loaded.hash)
            before, wanted = [], []
            for one in asked:
                key = loaded.key(one.item, reader)
                old = known.get((key.name, key.sha256), {}).get(reader)
                mark, note = (old.mark, old.note) if old else (None, "")
                before.append(
                    {
                        "number": one.item.number,
                        "sha256": one.item.file.sha256,
                        "mark": mark,
                        "note": note,
                        "threshold": old.threshold if old else None,
                    }
                )
                mark = mark if one.mark is ... else one.mark
                note = note if one.note is ... else one.note
                own = point if one.threshold is None else Point.at(loaded.detector.decider, one.threshold)
                made = _mark(one.item, own, mark, note)
                if one.mark is ... and old is not None and old.mark is not None:
                    # A note is written beside a mark, and says nothing of the decision that was marked.
                    made = replace(old, note=note)
                wanted.append((key, made))
            self.store.put_all(wanted)
            self._remember(loaded.hash, known, wanted)
        finally:
            self._lock.release()
        return before

    def _remember(self, bundle: str, known: dict, wanted: Sequence[tuple[Key, Mark]]) -> None:
        try:
            known = self.store.of_bundle(bundle)
        except (sqlite3.Error, OSError):  # written, and only the reading failed
            for key, mark in wanted:
                by = known.setdefault((key.name, key.sha256), {})
                by[key.reader] = mark
                if mark.mark is None and not mark.note:
                    del by[key.reader]
        self._known[bundle] = (time.monotonic(), known, "")
        self.version += 1


def _mark(item: Item, point: Point, mark: Any, note: Any) -> Mark:
    if item.raw_score is None:
        raise MarkError(f"{item.name} has no decision to mark")
    if mark is not None and mark not in MARKS:
        raise MarkError(f"a mark is one of {', '.join(MARKS)}")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise MarkError(f"a note has at most {LONGEST_NOTE} characters")
    decision = "abnormal" if point.decider.abnormal(item.raw_score) else "normal"
    return Mark(mark, storable(note), decision, item.raw_score, float(point.decider.threshold))


def storable(note: str) -> str:
    """A note as UTF-8 holds it: half of a pair that makes a sign, as a cut may leave, becomes U+FFFD, "�"."""
    return note.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def reader_name(given: str) -> str:
    """A reader's name as it is kept: of one line, at most 80 characters; empty for none."""
    given = normalize("NFC", given)  # the same letters are the same name, however a keyboard puts them together
    return shown(given)[:LONGEST_NAME].strip() if given.strip() else ""


def others_marks(marks: Mapping[str, Mark], reader: str | None) -> list[dict[str, Any]]:
    """The marks of the other readers on an image, once the reader's own is saved; before that none."""
    if reader is None or reader not in marks or marks[reader].mark is None:
        return []
    return [
        {"reader": name or "without a name", "mark": mark.mark, "note": mark.note}
        for name, mark in marks.items()
        if name != reader
    ]
