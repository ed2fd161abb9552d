"""Find images below a folder: one rule for training, ``data check``, ``infer``, ``--watch`` and the page.

Files that a person names are always tried; this is about those that a folder brings. Each is found once, whatever links
lead to it, and what is passed over is counted by its reason.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from medanomaly.folder_lock import OWN
from medanomaly.imaging.decode import IMAGE_SUFFIXES
from medanomaly.imaging.dicom_head import looks_like_dicom
from medanomaly.imaging.skipped_files import AGAIN, LOOP, OTHER, RESULTS, SPECIAL, SYSTEM, UNFINISHED, PassedOver

#: What macOS, Windows, Linux and the servers of Synology and QNAP put into folders, in lower case; and the table of
#: contents of a DICOM medium. Hidden names, which begin with a point, need not be listed.
_SYSTEM_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "dicomdir", "__pycache__"}
    | {"__macosx", "network trash folder", "temporary items", "lost+found"}
    | {"$recycle.bin", "recycler", "recycled", "system volume information", "found.000"}
    | {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "@sharebin"}
)
#: Ends of names under which programs write what they rename when it is whole.
_UNFINISHED = frozenset(
    {".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", ".lock"}
)
#: Files so called are never opened to see whether they are DICOM.
_NEVER_DICOM = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm", ".css", ".js", ".py"}
    | {".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".log", ".ini", ".db", ".sqlite", ".exe", ".dll"}
    | {".zip", ".gz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".npy", ".npz", ".pkl", ".pt", ".ckpt", ".h5", ".mat"}
    | {".gif", ".webp", ".heic", ".jp2", ".svg", ".nii", ".nrrd", ".mha", ".mp4", ".avi", ".mov", ".mkv", ".wmv"}
    | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm", ".ppm"}
)
#: What stands in a folder of results, and the folders of pictures beside it.
_RESULT_FILES = frozenset({"results.jsonl", "infer.json"})
_RESULT_FOLDERS = frozenset({"overlays", "masks", "maps", "timelines"})


@dataclass
class Found:
    """What a search found.

    Args:
        files: Images, sorted by path; a link that leads nowhere is among them if it is called as one, and so is a file
            that cannot be opened to see whether it is DICOM.
        passed: What was passed over.
        closed: Folders, and links, that could not be looked into, and why.
    """

    files: list[Path] = field(default_factory=list)
    passed: PassedOver = field(default_factory=PassedOver)
    closed: list[tuple[Path, str]] = field(default_factory=list)


def of_system(name: str) -> bool:
    """Whether a file or folder so called is the system's, or hidden: ``._x.png``, ``__MACOSX``, ``Thumbs.db``."""
    return (name.startswith(".") and name not in (".", "..")) or name.startswith("~$") or name.lower() in _SYSTEM_NAMES


def in_system(path: str) -> bool:
    """Whether any part of a path is the system's; parts are separated by ``/`` or ``\\``."""
    return any(of_system(part) for part in re.split(r"[\\/]", path))


def unfinished(name: str) -> bool:
    """Whether a name says that its file is still being written."""
    return name.endswith("~") or PurePath(name).suffix.lower() in _UNFINISHED


def known_kind(name: str, suffixes: Collection[str]) -> bool:
    """Whether a file's name alone says that it is one of those looked for."""
    return PurePath(name).suffix.lower() in suffixes


def maybe_dicom(name: str, suffixes: Collection[str]) -> bool:
    """Whether a file of this name must be looked into: DICOM often has no suffix, or one of digits."""
    return ".dcm" in suffixes and PurePath(name).suffix.lower() not in _NEVER_DICOM


def result_folders(names: Iterable[str]) -> frozenset[str]:
    """The folders with pictures that ``infer`` wrote, in a folder that holds ``names``."""
    return _RESULT_FOLDERS if set(names) >= _RESULT_FILES else frozenset()


class Places:
    """Where a path really lies; two paths of one file have one place."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: str | Path) -> str:
        """The place of a file, through all links."""
        if os.path.islink(path):  # noqa: PTH114 (paths with NUL are no links)
            return os.path.realpath(path)
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)  # noqa: PTH118


def search(
    folder: str | Path,
    suffixes: Collection[str] | None = IMAGE_SUFFIXES,
    leave_out: str | Path | None = None,
    system: Callable[[str], bool] = of_system,
) -> Found:
    """Find the images below a folder, on all levels.

    Links to folders and files are followed, each file is found once, and a loop of links ends. Where a file can be
    reached with and without a link, its path is that without.

    Args:
        folder: The folder; whatever its own name is.
        suffixes: What is looked for, in lower case and with the point. Where ``.dcm`` is among them, so are DICOM files
            of other names, which are told by their content. None for every file.
        leave_out: A folder whose files are not looked for. If it holds ``folder``, its folders of pictures alone.
        system: Whether a name is passed over as one of the system.
    """
    found, tree = Found(), _Tree(folder, leave_out)
    linked: list[Path] = []
    places: set[str] = set()
    for at, real in tree.folders(found):
        try:
            with os.scandir(at) as listing:
                entries = list(listing)
        except OSError as error:
            found.closed.append((at, error.strerror or str(error)))
            continue
        pictures = result_folders(entry.name for entry in entries)
        for entry in entries:
            path = at / entry.name
            if entry.name.startswith(OWN):  # of a run that writes here just now
                continue
            try:
                folder_there, is_link, is_file = entry.is_dir(), entry.is_symlink(), entry.is_file()
            except OSError as error:
                if system(entry.name):
                    found.passed.note(SYSTEM)
                elif error.errno == errno.ELOOP:  # a link that leads to itself
                    found.passed.note(LOOP)
                elif suffixes is None or known_kind(entry.name, suffixes):  # its reader says why
                    found.files.append(path)
                else:  # a link to what may not be looked at: nobody knows what it is
                    found.closed.append((path, error.strerror or str(error)))
                continue
            if system(entry.name):
                found.passed.note(SYSTEM)
            elif folder_there and entry.name in pictures:
                found.passed.note(RESULTS)
            elif folder_there:
                tree.add(path, real, is_link)
            elif reason := _reason(entry.path, is_file, is_link, suffixes):
                found.passed.note(reason, entry.name)
            elif is_link:
                linked.append(path)
            else:
                places.add(os.path.join(real, entry.name))  # noqa: PTH118
                found.files.append(path)
    for path in sorted(linked):
        place = os.path.realpath(path)
        if place in places:
            found.passed.note(AGAIN)
        else:
            places.add(place)
            found.files.append(path)
    found.files.sort()
    return found


def reason_against(path: str | Path, suffixes: Collection[str] | None = IMAGE_SUFFIXES) -> str | None:
    """Why a file would be passed over by :func:`search`, its name of the system aside; None if it is looked for."""
    path = os.fspath(path)
    return _reason(path, os.path.isfile(path), os.path.islink(path), suffixes)  # noqa: PTH113, PTH114


def _reason(path: str, is_file: bool, is_link: bool, suffixes: Collection[str] | None) -> str | None:
    """Why a file is passed over; None if it is looked for."""
    name = os.path.basename(path)  # noqa: PTH119
    if unfinished(name):
        return UNFINISHED
    if not is_file and not is_link:  # a pipe or a device: opening it may never end
        return SPECIAL
    if suffixes is None or known_kind(name, suffixes):
        return None
    if not is_file or not maybe_dicom(name, suffixes):
        return OTHER
    return None if looks_like_dicom(path) or not opens(path) else OTHER


def opens(path: str) -> bool:
    """Whether a regular file can be opened; one that has gone meanwhile counts as such."""
    try:
        with Path(path).open("rb"):
            return True
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)


class _Tree:
    """The folders that a search still has to look into: those behind links come last."""

    def __init__(self, folder: str | Path, leave_out: str | Path | None) -> None:
        top = os.path.realpath(folder)
        self._plain: list[tuple[Path, str]] = [(Path(folder), top)]
        self._links: list[tuple[Path, str]] = []
        self._entered: set[str] = set()
        self._without: set[str] = set()
        if leave_out is not None:
            out = os.path.realpath(leave_out)
            # Results may be written into the very folder that is searched.
            above = _holds(out, top)
            self._without = {os.path.join(out, name) for name in _RESULT_FOLDERS} if above else {out}  # noqa: PTH118

    def folders(self, found: Found) -> Iterable[tuple[Path, str]]:
        """Each folder once: as it was given or lies below, and where it really lies."""
        while self._plain or self._links:
            if self._plain:
                at, real = self._plain.pop()
            else:
                self._links.sort(reverse=True)
                at, parent = self._links.pop()
                real = os.path.realpath(at)
                if _holds(real, parent):
                    found.passed.note(LOOP)
                    continue
            if real in self._without:
                continue
            if real in self._entered:
                found.passed.note(AGAIN)
                continue
            self._entered.add(real)
            yield at, real

    def add(self, path: Path, parent: str, is_link: bool) -> None:
        if is_link:
            self._links.append((path, parent))
        else:
            self._plain.append((path, os.path.join(parent, path.name)))  # noqa: PTH118


def _holds(folder: str, inner: str) -> bool:
    """Whether a folder is another one, or holds it; both are real paths."""
    return inner == folder or inner.startswith(folder.rstrip(os.sep) + os.sep)
