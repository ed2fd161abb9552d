"""Accept uploaded files into a session: known types, within limits, under names of our own."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medanomaly.app.session.upload_types import HEAD, Kind, kind_of, why_refused
from medanomaly.app.session.zip_archive import ArchiveError, entries, wanted
from medanomaly.files import sha256
from medanomaly.imaging import ImageError, frames
from medanomaly.imaging.find_images import in_system

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What a session takes in at most.

    Args:
        files: Files, those inside of zips counted each.
        file_bytes: Bytes of one file, and of one file of a zip once unpacked.
        total_bytes: Bytes of all of them, unpacked.
        ratio: How many times larger a file of a zip may be unpacked; of images, which are compressed already,
            nothing comes near.
        frames: Frames or pages of one image file.
    """

    files: int = 5000
    file_bytes: int = 500 * MIB
    total_bytes: int = 4096 * MIB
    ratio: int = 200
    frames: int = 2000


@dataclass(frozen=True)
class Accepted:
    """A file that was taken in.

    Args:
        name: What its sender called it, folders included; shown and kept with marks, and never opened.
        path: Its place in the session's folder.
        sha256: Of its bytes, 64 hex digits.
        kind: What it is.
        addresses: What is to be scored of it: itself, or each of its frames; empty for a video.
    """

    name: str
    path: Path
    sha256: str
    kind: Kind
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A file that was not taken in, and why: the end of a sentence that begins with its name."""

    name: str
    reason: str


@dataclass
class Intake:
    """Takes in the files of one session.

    Args:
        folder: The session's folder.
        limits: What is taken in at most.
        elsewhere: Bytes of the session's files that are being sent, or wait: a zip may not unpack into their room.
        passed_over: How many files of folders and zips were the system's, or hidden.
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    elsewhere: Callable[[], int] = lambda: 0
    count: int = 0
    used: int = 0
    passed_over: int = 0
    _known: set[tuple[str, str]] = field(default_factory=set)

    def take(self, name: str, received: Path) -> Iterator[Accepted | Refused]:
        """Take in one file, or what a zip holds.

        Args:
            name: As the browser gave it.
            received: The file; it is moved, or gone when this is over.

        Yields:
            A record of each file. Of a folder or a zip, files of the system and hidden ones are passed over and counted
            (see :mod:`medanomaly.imaging.find_images`); a file that was sent by itself is tried.
        """
        name = shown(name)
        try:
            if "/" in name and in_system(name):
                self.passed_over += 1
                return
            kind = kind_of(head := _head(received))
            if kind is None or kind.group != "zip":
                yield self._keep(name, received, kind, head)
            elif received.stat().st_size > self.limits.file_bytes:
                yield Refused(name, too_large(self.limits))
            else:
                yield from self._unpack(name, received)
        finally:
            received.unlink(missing_ok=True)

    def _unpack(self, name: str, received: Path) -> Iterator[Accepted | Refused]:
        part = self.folder / "unpacked"
        try:
            with zipfile.ZipFile(received) as archive:
                files = sum(not entry.is_dir() for entry in archive.infolist())
                self.passed_over += files - len(wanted(archive))
                rest = self.limits.files - self.count, self.limits.total_bytes - self.used - self.elsewhere()
                for inner, fault in entries(archive, self.limits, *rest, part):
                    full = shown(f"{name}/{inner}")
                    yield Refused(full, fault) if fault else self._inner(full, part)
        except ArchiveError as error:
            yield Refused(name, str(error))
        except Exception as error:  # zipfile raises every kind of error on damaged archives
            yield Refused(name, f"is a damaged zip file ({type(error).__name__}). Pack it again.")
        finally:
            part.unlink(missing_ok=True)

    def _inner(self, name: str, part: Path) -> Accepted | Refused:
        kind = kind_of(head := _head(part))
        if kind is not None and kind.group == "zip":
            return Refused(name, "is a zip file within a zip file. Unpack it first.")
        return self._keep(name, part, kind, head)

    def _keep(self, name: str, received: Path, kind: Kind | None, head: bytes) -> Accepted | Refused:
        if kind is None:
            return Refused(name, why_refused(head))
        size = received.stat().st_size
        if size > self.limits.file_bytes:
            return Refused(name, too_large(self.limits))
        if self.count >= self.limits.files:
            return Refused(name, f"is over the limit of {self.limits.files} files a session. Begin a new one.")
        if self.used + size > self.limits.total_bytes:
            return Refused(name, too_much(self.limits))
        digest = sha256(received)
        if (name, digest) in self._known:
            return Refused(name, "is in the list already.")
        path = received.rename(self.folder / f"{self.count:06d}{kind.suffix}")
        addresses: tuple[str, ...] = ()
        if kind.group == "image":
            try:
                addresses = tuple(frames(path))
            except ImageError as error:
                path.unlink()
                return Refused(name, without_path(str(error), path, name))
            if len(addresses) > self.limits.frames:
                path.unlink()
                return Refused(name, f"holds {len(addresses)} frames; the limit is {self.limits.frames}. Split it.")
        self.count += 1
        self.used += size
        self._known.add((name, digest))
        return Accepted(name, path, digest, kind, addresses)


def too_large(limits: Limits) -> str:
    """Why a large file is refused."""
    return f"is larger than {limits.file_bytes // MIB} MiB, the limit of a file."


def too_much(limits: Limits) -> str:
    """Why a file is refused for which a session has no room left."""
    return f"is over the limit of {limits.total_bytes // MIB} MiB a session. Begin a new one."


def shown(name: str) -> str:
    """A name fit for showing and keeping: of one line, without control characters, of at most 200 characters."""
    clean = (
        re.sub(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", " ", name).strip() or "unnamed"
    )
    clean = clean.encode("utf-8", "replace").decode()
    return clean if len(clean) <= 200 else "…" + clean[-199:]


def without_path(error: str, path: Path, name: str) -> str:
    """An error of a file without its path in the session's folder, which its sender never saw."""
    return error.removeprefix(f"{path}: ").replace(str(path), name).replace(path.name, name)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
