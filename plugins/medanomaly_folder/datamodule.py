"""``Folder``: the shortest way from a folder of normal images to a detector."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pandas as pd

from medanomaly.csv_cells import missing, some
from medanomaly.data import MedicalDataModule, TableError, split_by_group
from medanomaly.data.find_files import images
from medanomaly.data.mask_names import image_folder, mask_folder
from medanomaly.data.mask_pairing import Pairing, pair, part, placed
from medanomaly.imaging.find_images import Places
from medanomaly_folder.directories import found, hint, inside, unused
from medanomaly_folder.frames import with_masks
from medanomaly_folder.masks import MASKS, below, counted, misfits, named, refusal
from medanomaly_folder.subfolders import MEANINGS, Image, Meaning, normal_label

logger = logging.getLogger(__name__)


class Folder(MedicalDataModule):
    """Images in one directory a class, searched through all levels, split by group with a seed.

    Args:
        normal_dir: Directory of normal images, below ``root``.
        abnormal_dir: Directory of abnormal images, below ``root``; each directory inside it names a class, files
            directly in it are ``abnormal``, and directories such as ``good`` hold normal images. None where there are
            no abnormal images yet.
        mask_dir: Directory of masks, below ``root``; it may lie inside the others. Masks are called as their images,
            with or without words such as ``mask`` and ``seg``, or have the same numbers; see
            :func:`medanomaly.data.mask_pairing.pair`. An image may have several.
        group_pattern: Regular expression searched in the file's path below ``root``; its first bracket is the group
            (patient, study). Without one, and without folders of patients, each file is its own group, which is right
            only if no two files share a patient.
        fractions: Shares of train, val and test among groups.
        masks: ``auto``: masks are also looked for among the images, in folders such as ``masks`` and beside their
            image; a mask without image, or an abnormal image without mask where others have one, is an error.
            ``partial``: what does not fit is left out with a warning. ``none``: every file is an image.
        subfolders: What directories inside ``abnormal_dir`` are: ``class``, ``group`` (patients, as those inside
            ``normal_dir`` are then), or ``auto``: patients if they are many and small or numbered, else classes.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "folder"
    expects = "a directory 'normal' with images, and where known a directory 'abnormal'."

    def __init__(
        self,
        root: str | Path | None = None,
        normal_dir: str = "normal",
        abnormal_dir: str | None = "abnormal",
        mask_dir: str | None = None,
        group_pattern: str | None = None,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        masks: str = "auto",
        subfolders: str = "auto",
        **kwargs,
    ) -> None:
        super().__init__(root=root, **kwargs)
        for name, value, known in (("masks", masks, MASKS), ("subfolders", subfolders, MEANINGS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not '{value}'")
        if mask_dir and masks == "none":
            raise ValueError("masks: none uses no masks, and mask_dir names some. Leave one of them out")
        self.normal_dir, self.abnormal_dir, self.mask_dir = normal_dir, abnormal_dir, mask_dir
        self.group_pattern = re.compile(group_pattern) if group_pattern else None
        self.fractions, self.masks, self.subfolders = fractions, masks, subfolders
        self._grouped = False
        self._said: list[str] = []

    @property
    def groups_known(self) -> bool:  # type: ignore[override]
        """Whether every file's patient is known, by the pattern or by its folder."""
        _ = self.listed
        return self._grouped

    @property
    def notes(self) -> list[str]:
        """What was taken for what, one sentence each."""
        return [*super().notes, *self._said]

    def samples(self, root: Path) -> pd.DataFrame:
        """List the directories, tell masks from images, and deal groups into splits."""
        self._said = []
        listed, pairing = self._listing(root)
        problems = misfits(root, listed, pairing, bool(self.mask_dir))
        if problems and self.masks != "partial":
            raise TableError(refusal(problems))
        for problem, which in problems.items():
            self._say(f"{problem}.", logging.WARNING, which)
        if self.masks != "none" and (text := counted(listed, pairing)):
            self._say(text)
        table = self._rows(root, listed, pairing)
        ill = set(table["group"][table.pop("ill").astype(bool)])
        if len(ill) == table["group"].nunique() and any(not image.ill for image in listed):
            raise TableError(
                "Every group has abnormal images, and such a group is for validation and test alone: no normal image "
                "is left to train on. Deal the groups yourself, in a CSV with a column split (Table)."
            )
        return split_by_group(table, self.normal, self.fractions, self.hparams["seed"])

    def _say(self, text: str, level: int = logging.INFO, names: str = "") -> None:
        self._said.append(text)  # goes into records, where names of files have no place
        logger.log(level, "Folder: %s", f"{text} {names}".rstrip())

    def _directories(self, root: Path) -> dict[str, Path]:
        """Where normal images, abnormal images and masks lie, by the option's name.

        Raises:
            DataError: if a directory is not there, but for the default one of abnormal images; names the nearest.
        """
        places = {}
        for option, default in (("normal_dir", "normal"), ("abnormal_dir", "abnormal"), ("mask_dir", None)):
            name = getattr(self, option)
            place = found(root, name) if name else None
            if place is not None:
                places[option] = place
            elif name and (option != "abnormal_dir" or name != default):
                raise self.missing(f"has no directory '{name}' ({option}){hint(root, name)}")
        if self.abnormal_dir and "abnormal_dir" not in places and (others := unused(root, [*places.values()])):
            self._say(
                f"There is no directory '{self.abnormal_dir}', so no image is abnormal. {len(others)} other "
                "directories hold images and are not used: name one with abnormal_dir, or put them into it.",
                logging.WARNING,
                some([f"{name} ({number} images)" for name, number in others.items()]),
            )
        if len(set(places.values())) < len(places):
            raise TableError(f"normal_dir, abnormal_dir and mask_dir must differ: {named(root, places.values())}.")
        return places

    def _listing(self, root: Path) -> tuple[list[Image], Pairing]:
        """All images, normal ones first, and the masks that fit them."""
        places, pairing, parts = self._directories(root), Pairing(), []
        for option in ("normal_dir", "abnormal_dir"):
            if (top := places.get(option)) is None:
                continue
            inner = [inside(top, other) for name, other in places.items() if name != option]
            paths = [path for path in images(top) if not any(path.is_relative_to(i) for i in inner if i is not None)]
            if self.masks != "none":
                paths, own = part(paths, top, option == "abnormal_dir")
                pairing.add(own)
            parts.append((top, option == "abnormal_dir", paths))
        beside = bool(self.mask_dir or pairing.masks)
        listed = [self._image(path, top, apart, beside) for top, apart, paths in parts for path in paths]
        if (masks := places.get("mask_dir")) is not None:
            marked = images(masks)
            if not marked:
                raise self.missing(f"has no mask in '{self.mask_dir}' (mask_dir)")
            known = [placed(image.path, image.top, image.ill) for image in listed]
            pairing.add(pair(known, [placed(path, masks) for path in marked]))
        places_of = Places()
        healthy = {places_of.of(image.path) for image in listed if not image.ill}
        both = [image.path for image in listed if image.ill and places_of.of(image.path) in healthy]
        if both:
            raise TableError(f"{len(both)} files are normal and abnormal at once, through links: {named(root, both)}.")
        return listed, pairing

    def _image(self, path: Path, top: Path, apart: bool, beside: bool) -> Image:
        folders = path.relative_to(top).parts[:-1]
        healthy = self.normal[0] if not apart else normal_label(folders[0], self.normal) if folders else None
        if beside:  # "images" beside "masks" names no class
            folders = tuple(folder for folder in folders if not image_folder(folder) and not mask_folder(folder))
        return Image(path, top, folders, healthy, apart)

    def _rows(self, root: Path, listed: list[Image], pairing: Pairing) -> pd.DataFrame:
        meaning = Meaning(listed, self.subfolders)
        for note in meaning.notes:
            self._say(note)
        good = sum(image.apart and not image.ill for image in listed)
        if good:
            self._say(f"{good} images in '{self.abnormal_dir}' count as normal, by the name of their folder.")
        rows = []
        self._grouped = True
        for image in listed:
            name = below(root, image.path)
            group = self._group(name) if self.group_pattern else meaning.group(image)
            self._grouped &= group is not None
            of_all = (meaning.label(image), group or name)
            masks = pairing.masks.get(image.path, []) if image.ill else []
            rows += [(address, *of_all, mask, image.ill) for address, mask in with_masks(image.path, masks)]
        if not self._grouped:
            logger.warning(
                "Folder: no group_pattern is given, so every image counts as its own patient. If patients have several "
                "images, name the part of the file name that tells them apart, or figures will flatter."
            )
        return pd.DataFrame(rows, columns=["image_path", "label", "group", "mask_path", "ill"], dtype=object)

    def _group(self, name: str) -> str:
        assert self.group_pattern is not None
        match = self.group_pattern.search(name)
        if match is None or not match.groups() or missing(match.group(1)):  # an optional bracket may match nothing
            raise TableError(f"{name}: group_pattern '{self.group_pattern.pattern}' finds no group in it.")
        return match.group(1)
