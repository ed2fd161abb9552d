"""Find images, folders and masks below a folder, for data plugins."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from medanomaly.csv_cells import some
from medanomaly.data.required_cells import TableError
from medanomaly.imaging import IMAGE_SUFFIXES, search

logger = logging.getLogger(__name__)


def images(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """All images below ``folder``, at any depth, sorted by path; what is passed over is said in the log.

    Those with one of ``suffixes`` (lower case, with the dot) and, where ``.dcm`` is among these, DICOM files of other
    names. Files of the system and hidden ones are passed over, and links are followed once, see
    :func:`medanomaly.imaging.search`. A folder that is not there holds none.

    Raises:
        TableError: if a folder cannot be looked into.
    """
    if not folder.is_dir():
        return []
    found = search(folder, suffixes)
    if found.closed:
        raise TableError(
            f"{len(found.closed)} folders cannot be looked into: "
            + some([f"{path} ({why})" for path, why in found.closed])
            + ". Allow reading them, or move them out of the data's folder."
        )
    if found.passed:
        # A folder, and what stands behind the point of a file's name, may name a patient.
        logger.info("A folder of the data: %s", found.passed.sentence(kinds=False))
    return found.files


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by name without suffix.

    Raises:
        TableError: if two have the same name: chance would decide which one is used.
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise TableError(f"{other} and {path} have the same name. Move one of them out of the data's folder.")
    return found


def directory(root: Path, names: Iterable[str]) -> Path | None:
    """The first of ``names`` that is a directory below ``root``, or None.

    Upper and lower case, blanks, ``-`` and ``_`` make no difference, since publishers' archives and mirrors differ in
    them: ``non-bleeding/images`` finds ``Non Bleeding/Images``. Each name may have several parts.

    Raises:
        TableError: if two directories fit the same name, because one of them would be left out unseen.
    """
    for name in names:
        found = root
        for part in name.split("/"):
            if not found.is_dir():
                break
            same = sorted(path for path in found.iterdir() if path.is_dir() and _plain(path.name) == _plain(part))
            if len(same) > 1:
                raise TableError(f"{found}: '{same[0].name}' and '{same[1].name}' both fit '{part}'. Remove one.")
            if not same:
                break
            found = same[0]
        else:
            return found
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def numbers(name: str) -> tuple[int, ...]:
    """The whole numbers in a file's name without its suffix: ``(12,)`` for ``img- (12).png``."""
    return tuple(int(found) for found in re.findall(r"\d+", Path(name).stem))


def paired_masks(paths: Sequence[Path], folder: Path) -> list[str]:
    """The mask of each image: the file in ``folder`` of the same stem, else of the same numbers.

    So ``ann- (12).png`` belongs to ``img- (12).png``, and ``…_00003_seg_70.png`` to ``…_00003_flair_70.png``.

    Returns:
        Paths of the masks, in the order of ``paths``.

    Raises:
        TableError: if an image has no mask, or several masks have its numbers; lists the images.
    """
    same_name = by_stem(images(folder))
    by_numbers: dict[tuple[int, ...], list[Path]] = {}
    for mask in same_name.values():
        by_numbers.setdefault(numbers(mask.name), []).append(mask)
    found, problems = [], []
    for path in paths:
        key = numbers(path.name)
        fitting = by_numbers.get(key, []) if key else []
        fitting = [same_name[path.stem]] if path.stem in same_name else fitting
        if len(fitting) != 1:
            problems.append(f"{path.name} ({len(fitting)} masks)")
        found.append(str(fitting[0]) if fitting else "")
    if problems:
        raise TableError(
            f"{folder}: {len(problems)} images have not exactly one mask there: {some(problems)}. "
            "Name each mask as its image, or with the same numbers."
        )
    return found
