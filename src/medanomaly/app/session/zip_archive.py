"""Unpack an uploaded zip file within limits, trusting neither its names nor its declared sizes."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from medanomaly.errors import MedAnomalyError
from medanomaly.imaging.find_images import in_system

#: A small file may be packed very tightly without doing harm.
_SMALL = 2**20
_CHUNK = 2**20


class Limited(Protocol):
    """The limits that are asked for here; see :class:`medanomaly.app.session.uploads.Limits`."""

    @property
    def file_bytes(self) -> int:
        """Bytes of one file, unpacked."""
        ...

    @property
    def ratio(self) -> int:
        """How many times larger a file may be unpacked."""
        ...


class ArchiveError(MedAnomalyError, ValueError):
    """A zip file is refused as a whole. The message is the end of a sentence that begins with its name."""


def wanted(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of a zip without those of the system and hidden ones, by the rule for folders."""
    return [entry for entry in archive.infolist() if not entry.is_dir() and not in_system(entry.filename)]


def entries(
    archive: zipfile.ZipFile, limits: Limited, files: int, room: int, part: Path
) -> Iterator[tuple[str, str | None]]:
    """The files of a zip, unpacked one after the other.

    Args:
        archive: The opened zip.
        limits: Of one file.
        files: How many files there is room for.
        room: How many bytes there is room for.
        part: Where each is unpacked to, over the one before; the names within the zip are never used for it.

    Yields:
        The name within the zip; and why it is refused, the end of a sentence, or None when it lies in ``part``.

    Raises:
        ArchiveError: before anything is unpacked, if it declares more than there is room for; or while unpacking, if a
            file holds more than it declared.
    """
    listed = wanted(archive)
    if len(listed) > files:
        raise ArchiveError(f"holds {len(listed)} files, and there is room for {files}. Send fewer.")
    declared = sum(entry.file_size for entry in listed)
    if declared > room:
        raise ArchiveError(f"would unpack to {declared / 2**20:.0f} MiB, and there is room for {room // 2**20} MiB.")
    for entry in listed:
        if entry.file_size > _SMALL and entry.file_size > limits.ratio * max(entry.compress_size, 1):
            raise ArchiveError(
                f"is packed {entry.file_size // max(entry.compress_size, 1)} times, as zip bombs are and images are "
                f"not (limit {limits.ratio}). Send the images themselves."
            )
    for entry in listed:
        yield entry.filename, _fault(entry, limits) or _unpack(archive, entry, part)


def _fault(entry: zipfile.ZipInfo, limits: Limited) -> str | None:
    name = entry.orig_filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts or "\0" in name:
        return "has a path that leads out of the zip file."
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link, not a file."
    if entry.flag_bits & 0x1:
        return "is encrypted. Unpack it first."
    if entry.file_size > limits.file_bytes:
        return f"has {entry.file_size / 2**20:.0f} MiB; the limit is {limits.file_bytes // 2**20} MiB a file."
    return None


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, part: Path) -> str | None:
    size = 0
    try:
        with archive.open(entry) as packed, part.open("wb") as file:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > entry.file_size:
                    raise ArchiveError("unpacks to more than it declares, as zip bombs do.")
                file.write(chunk)
    except ArchiveError:
        raise
    except Exception as error:  # damaged data, a wrong checksum, an unknown compression
        return f"cannot be unpacked ({type(error).__name__}). Pack it again."
    return None
