"""Count what a search passed over, by reason; names no file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

#: Reasons for which a file is passed over, and what a person calls one and several of these.
SYSTEM, OTHER, UNFINISHED, AGAIN, LOOP, LINKED, RESULTS = (
    "system",
    "no_image",
    "unfinished",
    "linked_again",
    "loop",
    "linked_folder",
    "results",
)
#: Of files of another kind, those that are no files at all; counted among them.
SPECIAL = "no_file"
_WORDS = {
    SYSTEM: ("file or folder of the system, or hidden", "files or folders of the system, or hidden"),
    OTHER: ("file of another kind", "files of other kinds"),
    UNFINISHED: ("unfinished file", "unfinished files"),
    AGAIN: ("link to what was found already", "links to what was found already"),
    LOOP: ("link that leads back", "links that lead back"),
    LINKED: ("link to a folder, which --watch does not follow", "links to folders, which --watch does not follow"),
    RESULTS: ("folder with results of an earlier run", "folders with results of an earlier run"),
}


@dataclass
class PassedOver:
    """What a search passed over.

    Args:
        reasons: How many files, or folders with all they hold, for each reason.
        kinds: Of the files of other kinds, how many have which suffix; ``""`` for those without a word as suffix.
            Pipes, sockets and devices are a kind of their own.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether anything was passed over."""
        return any(self.reasons.values())

    def note(self, reason: str, name: str = "") -> None:
        """Count one; ``name`` is that of a file of another kind."""
        special = reason == SPECIAL
        self.reasons[OTHER if special else reason] += 1
        if special or reason == OTHER:
            self.kinds["pipe, socket or device" if special else _kind(name)] += 1

    def add(self, other: PassedOver) -> None:
        """Count all of another search."""
        self.reasons.update(other.reasons)
        self.kinds.update(other.kinds)

    def replace(self, before: PassedOver, now: PassedOver) -> None:
        """Take back what an earlier look counted, and count what this one does."""
        self.reasons.subtract(before.reasons)
        self.kinds.subtract(before.kinds)
        self.add(now)

    def sentence(self, kinds: bool = True) -> str:
        """In words, without any file's name; empty if nothing was passed over.

        Args:
            kinds: Whether suffixes are said, which may be part of a name after all, as in ``scan.doe``.
        """
        parts = []
        for reason, words in _WORDS.items():
            if number := self.reasons[reason]:
                what = f"{number} {words[number > 1]}"
                parts.append(f"{what} ({self._kinds()})" if reason == OTHER and kinds else what)
        return f"Passed over: {', '.join(parts)}." if parts else ""

    def _kinds(self, shown: int = 5) -> str:
        most = [f"{number} {kind or 'without suffix'}" for kind, number in (+self.kinds).most_common(shown)]
        return ", ".join(most + (["…"] if len(+self.kinds) > shown else []))

    def to_dict(self) -> dict[str, int]:
        """How many for each reason, as plain JSON values."""
        return {reason: self.reasons[reason] for reason in _WORDS if self.reasons[reason]}


def _kind(name: str) -> str:
    """A suffix that is a word; digits and the like may be of an identifier, and are not shown."""
    suffix = PurePath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z][a-z0-9]{0,9}", suffix) else ""
