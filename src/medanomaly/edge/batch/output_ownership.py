"""Which files in OUT are ours: only these are replaced, and nothing else is ever overwritten.

Ours are ``results.jsonl`` and ``infer.json`` that say so, the pictures that the records there name, the timelines of
the videos among them, and the pictures of the one input that a kill kept from its record. Each is a plain file of the
kind of name that we give; a link is never ours.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medanomaly.csv_cells import rest
from medanomaly.edge.batch import timeline
from medanomaly.edge.batch.output_names import file_name
from medanomaly.edge.batch.signed_png import is_signed
from medanomaly.edge.bundle import CARD, FORMAT
from medanomaly.errors import MedAnomalyError
from medanomaly.folder_lock import OWN
from medanomaly.imaging.find_images import of_system

RECORDS = "results.jsonl"
#: What the records beside it were made with.
MADE_WITH = "infer.json"
#: Records of an earlier run while its pictures are being taken away: a kill in between is gone on from here.
OLD = f"{OWN}old-results.jsonl"

TIMELINES = "timelines"
#: Keys of a record that name a picture, and the folders of these.
PICTURES = {"overlay": "overlays", "mask": "masks", "map": "maps"}
FOLDERS = (*PICTURES.values(), TIMELINES)
#: Key of ``infer.json``: the folders that runs into this one have written into, and found free of foreign files.
CLAIMED = "folders"

_NAME = re.compile(r"(\d{6,})(-.*)?\.(png|csv|svg)", re.DOTALL)
_MOVE = "Move it away, or choose another folder."


class OutError(MedAnomalyError, ValueError):
    """Results cannot be written into a folder, for what is in it. The message names it and the remedy."""


def has_records(out: Path) -> bool:
    """Whether a folder holds records of an earlier run."""
    return any(path.is_file() and path.stat().st_size > 0 for path in (out / RECORDS, out / OLD))


def is_record(line: bytes) -> dict[str, Any] | None:
    """The record of a whole line; None if it is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("input"), str):
        return None
    numbers = all(_number(record[name]) for name in ("score", "raw_score", "p_value") if record.get(name) is not None)
    timed = "time" not in record or (_number(record["time"]) and math.isfinite(record["time"]))
    return record if numbers and timed and isinstance(record.get("status"), str) else None


def _number(value: Any) -> bool:
    # Of a whole number with thousands of digits nothing can be computed.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def made_with(out: Path) -> dict[str, Any] | None:
    """What ``infer.json`` says; None if there is none.

    Raises:
        OutError: if it is none of ours.
        OSError: if it cannot be read.
    """
    try:
        kept = json.loads((out / MADE_WITH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise OutError(f"{out / MADE_WITH}: is not of this program ({error}). {_MOVE}") from error
    if not isinstance(kept, dict) or not {"files", "operating_point"} <= set(kept):
        raise OutError(f"{out / MADE_WITH}: is not of this program (it names no bundle's files). {_MOVE}")
    return kept


@dataclass
class _Ours:
    """Names of ours, by folder.

    Args:
        names: Folder to the files that records name.
        next: Number of the record that a kill may have kept from being written.
        claimed: Folders that a run of ours writes into: they held nothing foreign when it began.
    """

    names: dict[str, set[str]] = field(default_factory=lambda: {folder: set() for folder in FOLDERS})
    next: set[int] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)

    def take(self, records: Iterator[dict[str, Any]]) -> None:
        """Take in the records of a run."""
        count = 0
        for record in records:
            for key, folder in PICTURES.items():
                parent, _, name = str(record.get(key, "")).rpartition("/")
                if parent == folder:
                    self.names[folder].add(name)
            frame = timeline.row_of(record)
            if frame:
                name = file_name(count, frame[0])
                self.names[TIMELINES] |= {f"{name}.csv", f"{name}.svg"}
            count += 1
        self.next.add(count)

    def holds(self, folder: str, entry: os.DirEntry) -> bool:
        """Whether a file in one of the folders is ours."""
        known = _NAME.fullmatch(entry.name)
        if known is None or not entry.is_file(follow_symlinks=False):
            return False
        if entry.name in self.names[folder]:
            return True
        # Of the input that a kill kept from its record nobody knows the name: its picture says that it is ours.
        return folder in self.claimed and int(known[1]) in self.next and is_signed(Path(entry.path))


def check_place(out: Path, bundle: Path) -> None:
    """Refuse what cannot be a folder of results: a file, a bundle.

    Raises:
        OutError: if it is one.
        OSError: if it cannot be looked at.
    """
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        what = "a link that leads to no folder" if out.is_symlink() else "a file"
        raise OutError(f"{out}: is {what}. Name a folder for the results.")
    if (bundle.is_dir() and os.path.samefile(out, bundle)) or _is_bundle(out):  # noqa: PTH121
        raise OutError(f"{out}: is a bundle. Name another folder for the results.")


def check(out: Path, writes: Collection[str], resume: bool) -> None:
    """Refuse a folder for what is in it; nothing is written.

    Args:
        out: Folder of the results.
        writes: Folders in it that the run writes into.
        resume: Whether the records there are kept; else they and what belongs to them will be replaced.

    Raises:
        OutError: if something is in it that is not ours and would be lost or mixed in.
        OSError: if it cannot be read.
    """
    for name in (RECORDS, MADE_WITH, OLD):
        if os.path.lexists(out / name) and not stat.S_ISREG((out / name).lstat().st_mode):
            raise OutError(f"{out / name}: is a link, a folder or a device, and so not of this program. {_MOVE}")
    for name in writes:
        if os.path.lexists(out / name) and not stat.S_ISDIR((out / name).lstat().st_mode):
            raise OutError(f"{out / name}: is no folder, or a link, and so not of this program. {_MOVE}")
    if resume and (out / RECORDS).exists():  # what is there stays, and records are checked as they are read
        kept = _kept(out)
        writes = set() if kept is None else set(writes) - claimed(kept)
        ours = _Ours()
    else:
        ours = _ours(out)
    for name in sorted(writes):
        foreign = [entry for entry in _entries(out / name) if not ours.holds(name, entry) and not of_system(entry.name)]
        if foreign:
            first = min(foreign, key=lambda entry: entry.name)
            named = ", ".join(filter(None, [str(out / name / first.name), rest(len(foreign), 1)]))
            raise OutError(f"{named}: belongs to no record of a run in {out}. {_MOVE}")


def clear(out: Path) -> None:
    """Take away the records of an earlier run, and the pictures and timelines that belong to them; nothing else.

    A kill in between is no trap: the next call goes on.

    Raises:
        OutError: if the records are not ours.
        OSError: if something cannot be taken away.
    """
    ours = _ours(out)
    if (out / RECORDS).exists():
        if (out / OLD).exists():  # taken in above
            (out / RECORDS).unlink()
        else:
            (out / RECORDS).rename(out / OLD)
    _take_away(out, ours)


def finish_clearing(out: Path) -> None:
    """Go on with a :func:`clear` that was interrupted, if one was.

    Raises:
        OutError, OSError: as for :func:`clear`.
    """
    if not os.path.lexists(out / OLD):
        return
    if (out / RECORDS).exists():  # a version of ours that does not know the name wrote these: their pictures stay
        (out / OLD).unlink()
    else:
        _take_away(out, _ours(out))


def _take_away(out: Path, ours: _Ours) -> None:
    for folder in ours.names:
        gone = [entry.path for entry in _entries(out / folder) if ours.holds(folder, entry)]
        for path in gone:
            Path(path).unlink(missing_ok=True)
        if gone:
            with suppress(OSError):  # not empty
                (out / folder).rmdir()
    (out / OLD).unlink(missing_ok=True)


def claimed(kept: dict[str, Any]) -> set[str]:
    """Which folders runs have written into, by what ``infer.json`` says; all of them for one of 0.1.0."""
    found = kept.get(CLAIMED, FOLDERS)
    return {name for name in FOLDERS if isinstance(found, (list, tuple)) and name in found}


def _ours(out: Path) -> _Ours:
    ours, kept = _Ours(), made_with(out)
    for path in (out / RECORDS, out / OLD):
        if not path.exists():
            continue
        if kept is None and path.stat().st_size:
            raise OutError(f"{path}: stands there without {MADE_WITH}, so that it may not be of this program. {_MOVE}")
        ours.take(_records(path))
    if kept is not None:
        ours.next |= set() if ours.next else {0}
        # 0.1.0 did not say which; there a name in the records does.
        ours.claimed = claimed(kept) if CLAIMED in kept else {folder for folder in FOLDERS if ours.names[folder]}
    return ours


def _kept(out: Path) -> dict[str, Any] | None:
    """What ``infer.json`` says, where it is whole; what else is wrong with it is said when a run is gone on with."""
    try:
        return made_with(out)
    except OutError:
        return None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = is_record(line)
            if record is None:
                if lines.read(1):
                    raise OutError(
                        f"{path}: line {number} is no record, so that it may not be of this program. {_MOVE}"
                    )
                return
            yield record


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is in a folder of ours; nothing if it is none, or a link."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return []
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _is_bundle(folder: Path) -> bool:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(card, dict) and card.get("format") == FORMAT
