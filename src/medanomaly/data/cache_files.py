"""Store a split's images on disk: a folder of arrays with a record and a SHA-256 of each file; damage is refused.

A memory-mapped array is read without a look at it: what a disk, a copy or another program overwrote would be trained
on. So each file's SHA-256 is taken when the folder is finished, and compared when it is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly._moved import old_names
from medanomaly.data.image_store import Arrays, mapped
from medanomaly.errors import MedAnomalyError
from medanomaly.files import sha256

__getattr__ = old_names(__name__)

logger = logging.getLogger(__name__)

RECORD = "cache.json"
#: What is not finished, or thrown away, has a name that begins so.
PART = "part-"
#: Seconds without a sign of life after which nobody is writing into an unfinished folder any more.
_DEAD = 6 * 3600
#: Checking more bytes than this takes long enough to be told.
_LONG = 4 << 30


class DamagedError(MedAnomalyError, ValueError):
    """A folder must not be used. The message names the file and says why."""


def part_of(folder: Path) -> Path:
    """A new folder of this process alone, to be renamed when it is finished."""
    part = folder / f"{PART}{uuid.uuid4().hex}"
    part.mkdir()
    return part


def alive(part: Path) -> None:
    """Say that a folder is still being written."""
    with contextlib.suppress(OSError):
        os.utime(part)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder: what showed no sign of life for six hours."""
    for part in folder.glob(f"{PART}*"):
        with contextlib.suppress(OSError):  # another process sweeps too, or the folder is not ours to change
            if part.is_dir() and not part.is_symlink() and time.time() - part.stat().st_mtime > _DEAD:
                logger.info("%s in the cache was never finished, and is removed.", part.name)
                shutil.rmtree(part, ignore_errors=True)


def finish(part: Path, key: str, channels: int, errors: Mapping[int, str]) -> None:
    """Write the record of a folder whose arrays are complete, and have all of it on the disk.

    Args:
        part: The folder. Of its arrays, ``images1.npy`` is removed if the images turned out to be in colour.
        key: What the folder will be called.
        channels: 1 or 3, those of the images.
        errors: Number to reason of the images that cannot be read.
    """
    if channels == 3:
        (part / "images1.npy").unlink(missing_ok=True)
    files = {}
    for file in sorted(part.glob("*.npy")):
        _synchronise(file)
        files[file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    record = {
        "key": key,
        "channels": channels,
        "errors": {str(row): why for row, why in errors.items()},
        "files": files,
    }
    record["sha256"] = _of_record(record)
    (part / RECORD).write_text(json.dumps(record), encoding="utf-8")
    _synchronise(part / RECORD)


def _synchronise(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _of_record(record: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def load(
    place: Path, number: int, size: tuple[int, int], masks: bool, verify: bool = True
) -> tuple[Arrays, dict[int, str]]:
    """Open a finished folder.

    Args:
        place: The folder, called by its key.
        number: How many images it must hold.
        size: Their height and width.
        masks: Whether masks are needed.
        verify: Compare all digests; False only for files that this process has written a moment ago.

    Returns:
        Arrays, mapped into memory, and number to reason of the images that cannot be read.

    Raises:
        DamagedError: if a file is missing, altered, cut short or of another shape, or there are no digests.
    """
    record = _record(place)
    channels = record["channels"]
    names = [f"images{channels}.npy", *(["masks.npy"] if masks else [])]
    for name in names:
        if name not in record["files"]:
            raise DamagedError(f"{place / RECORD} knows no {name}")
    total = sum(record["files"][name]["bytes"] for name in names)
    if verify and total > _LONG:
        logger.info("Checking %.1f GiB of images kept in the cache under %s.", total / 2**30, place.name)
    arrays = Arrays(number, size, False, sys.maxsize, None)
    arrays.channels = channels
    try:
        if verify:
            for name in names:
                _check(place / name, record["files"][name])
        arrays.images = mapped(place / names[0], (number, channels, *size), np.float32)
        if masks:
            arrays.masks = mapped(place / names[1], (number, *size), np.bool_)
    except DamagedError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError(f"{place}: cannot be read ({error})") from error
    return arrays, {int(row): str(reason) for row, reason in record["errors"].items()}


def _record(place: Path) -> dict[str, Any]:
    path = place / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        old = "sha256" not in record and isinstance(record["channels"], int)
        whole = not old and record["sha256"] == _of_record(record) and record["key"] == place.name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path}: is missing or no record ({type(error).__name__})") from error
    if old:
        raise DamagedError(f"{place}: has no digests to check it by, since an earlier version wrote it")
    if not whole:
        raise DamagedError(f"{path}: was altered or damaged")
    return record


def _check(file: Path, known: Mapping[str, Any]) -> None:
    size = file.stat().st_size
    if size != known["bytes"]:
        raise DamagedError(f"{file}: has {size} bytes, and had {known['bytes']} when it was written")
    if sha256(file) != known["sha256"]:
        raise DamagedError(f"{file}: was altered or damaged after it was written (its SHA-256 differs)")


def throw_away(place: Path) -> None:
    """Remove a folder, out of the others' sight first.

    Raises:
        OSError: if it cannot be renamed, as where the disk is read-only.
    """
    aside = place.with_name(f"{PART}{uuid.uuid4().hex}")
    place.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
