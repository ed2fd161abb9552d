"""What folders inside the directories of images stand for: classes, patients, or healthy images among others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from medanomaly.csv_cells import among

#: What ``subfolders`` may be.
MEANINGS = ("auto", "class", "group")

#: Folders inside the abnormal directory whose images count as normal: MVTec's layout has ``test/good``.
GOOD = frozenset({"good", "normal", "ok", "healthy"})

#: Folders of one name and a number each are patients from this number on, with at most this many images (median).
_NUMBERED, _FEW = 6, 30
#: From this number on they are patients whatever they hold.
_MANY = 20
#: Folders of other names.
_NAMED, _VERY_FEW = 12, 5
#: With a word of these, this number is enough.
_SAID, _WORDS = 3, frozenset({"patient", "patients", "pat", "subject", "sub", "case", "person", "exam", "study"})
#: With a letter of these, a number of one digit is enough; ``grade1`` and ``class 2`` are no patients.
_LETTERS = frozenset({"p", "pt", "s", "id"})


@dataclass(frozen=True)
class Image:
    """An image.

    Args:
        path: Its file.
        top: The directory of normal or abnormal images that it is in.
        folders: The folders that it lies in below ``top``, without those such as ``images`` beside masks.
        healthy: Its normal class; None if it is abnormal.
        apart: Whether ``top`` is that of abnormal images.
    """

    path: Path
    top: Path
    folders: tuple[str, ...]
    healthy: str | None
    apart: bool

    @property
    def ill(self) -> bool:
        """Whether it is abnormal."""
        return self.healthy is None


def normal_label(folder: str, normal: Sequence[str]) -> str | None:
    """The normal class of a folder inside the abnormal directory; None if its images are abnormal."""
    return among(folder, normal) or (normal[0] if folder.strip().casefold() in GOOD else None)


def like_patients(images: Mapping[str, int]) -> bool:
    """Whether folders are patients rather than classes: many, with few images each, or of one name and a number.

    Classes are seldom more than a handful, and seldom numbered; grades and stages are, with one digit.

    Args:
        images: How many images each folder holds.
    """
    if len(images) < _SAID:
        return False
    typical = median(images.values())
    shapes = {re.sub(r"\d[\d.]*", "#", name.casefold()) for name in images}
    if len(shapes) == 1 and "#" in (shape := shapes.pop()):
        said = set(re.findall(r"[^\W\d_]+", shape))
        if said & _WORDS:
            return True
        if said & _LETTERS or max(len(re.sub(r"\D", "", name)) for name in images) > 1:
            return len(images) >= _MANY or (len(images) >= _NUMBERED and typical <= _FEW)
    return len(images) >= _NAMED and typical <= _VERY_FEW


class Meaning:
    """What the folders of these images say.

    Args:
        images: All images.
        said: ``auto``, ``class`` or ``group``, see :class:`medanomaly_folder.Folder`.

    Attributes:
        notes: What was taken for what, in sentences.
    """

    def __init__(self, images: Sequence[Image], said: str) -> None:
        self._said = said
        self.notes: list[str] = []
        self._abnormal = self._level([image for image in images if image.apart])
        self._normal = self._level([image for image in images if not image.apart])
        if self._abnormal == 0 and self._normal is None:  # one patient's folder may be in both
            ill = {image.folders[0] for image in images if image.ill and image.folders}
            if any(not image.ill and image.folders and image.folders[0] in ill for image in images):
                self._normal = 0
        classes = {image.folders[0] for image in images if image.ill and image.folders}
        if self._abnormal != 0 and said == "auto" and len(classes) >= _NAMED:
            self.notes.append(
                f"Abnormal images have {len(classes)} classes. If these folders are patients, set subfolders: group."
            )

    def label(self, image: Image) -> str:
        """The class of an image."""
        if image.healthy is not None:
            return image.healthy
        return image.folders[0] if image.folders and self._abnormal != 0 else "abnormal"

    def group(self, image: Image) -> str | None:
        """The patient whose folder it lies in; None if none is known."""
        level = self._abnormal if image.apart else self._normal
        folders = self._of(image)
        return folders[level] if level is not None and level < len(folders) else None

    def _level(self, images: Sequence[Image]) -> int | None:
        """Which folders are patients, from 0 for those directly in the directory; None if none are."""
        if self._said != "auto" or not images:
            return 0 if self._said == "group" else None
        for level in (0, 1):
            sizes = Counter(folders[level] for image in images if len(folders := self._of(image)) > level)
            if like_patients(sizes):
                self.notes.append(
                    f"The {len(sizes)} folders in '{images[0].top.name}' are taken for patients: they are groups, and "
                    "no classes. Set subfolders: class if that is wrong."
                )
                return level
        return None

    def _of(self, image: Image) -> tuple[str, ...]:
        """Its folders, without the one that says that it is normal though it lies among abnormal ones."""
        return image.folders[1:] if image.apart and not image.ill else image.folders
