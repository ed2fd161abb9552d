"""Parse mask file names: ``benign (1)_mask_1.png`` is a mask of ``benign (1).png``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

#: Words that tell a mask from its image. Where mask and image lie in one folder only the first set counts: an
#: ``eye.png`` and an ``eye_lesion.png`` there may both be pictures.
MARKS = frozenset({"mask", "masks", "segmentation", "segmentations", "seg", "segm", "gt", "groundtruth"}) | frozenset(
    {"annotation", "annotations", "anno", "annot", "label", "labels"}
)
MASK_WORDS = MARKS | {"ann", "ano", "lesion", "lesions", "roi", "manual", "contour", "delineation", "binary"}
#: A file named with one of these that has no image is a mask whose image was not found.
PLAIN_MARKS = frozenset({"mask", "masks", "segmentation", "segmentations", "groundtruth"})
#: Folders so called hold masks.
MASK_FOLDERS = PLAIN_MARKS | {"seg", "gt", "annotation", "annotations", "annot"}
IMAGE_WORDS = frozenset({"image", "images", "img", "imgs", "im", "frame", "frames", "scan", "photo", "picture"}) | {
    "original",
    "orig",
    "input",
}
#: Folders so called name no class.
IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs"})

Key = tuple[str, ...]


def words(name: str) -> Key:
    """The words and numbers of a name, in lower case: ``Img-03 (left)`` is ``img``, ``03``, ``left``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    joined = re.sub(r"ground[\s_.-]*truth", "groundtruth", apart.casefold())
    return tuple(re.findall(r"[^\W\d_]+|\d+", joined))


@dataclass(frozen=True)
class Name:
    """A file's name without its suffix, as it is compared."""

    stem: str

    @cached_property
    def words(self) -> Key:
        """All words and numbers."""
        return words(self.stem)

    @cached_property
    def marks(self) -> frozenset[str]:
        """The words in it that tell a mask."""
        return frozenset(self.words) & MASK_WORDS

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Its whole numbers."""
        return tuple(int(word) for word in self.words if word.isdigit())

    @cached_property
    def shape(self) -> str:
        """Its name with every number as ``#``: one person's way of naming."""
        return re.sub(r"\d+", "#", self.stem.casefold())

    def image_keys(self) -> tuple[Key, Key]:
        """Of an image: its words, and these without such as ``image``."""
        return self.words, tuple(word for word in self.words if word not in IMAGE_WORDS)

    def mask_keys(self) -> tuple[Key, ...]:
        """Of a mask: what its image may be called, the most likely first.

        What stands before ``mask``: ``x_mask_1`` is of ``x``; all but ``mask``: ``mask_x`` is of ``x``, ``a_seg_3`` of
        ``a_3``; and without the numbers at its end: ``x_2`` is of ``x``.
        """
        first = next((place for place, word in enumerate(self.words) if word in MASK_WORDS), 0)
        plain = tuple(word for word in self.words if word not in MASK_WORDS)
        cut = plain
        while cut and cut[-1].isdigit():
            cut = cut[:-1]
        shorter = [plain[:end] for end in range(len(plain) - 1, max(len(cut), 1) - 1, -1)] if cut else []
        return tuple(key for key in (self.words[:first], plain, *shorter) if key)


def name_of(path: Path) -> Name:
    """The name of a file."""
    return Name(path.stem)


def mask_folder(name: str) -> bool:
    """Whether a folder so called holds masks: ``masks``, ``Ground Truth``, ``lesion_masks``."""
    found = set(words(name))
    return bool(found & MASK_FOLDERS) and found <= MASK_WORDS | IMAGE_WORDS


def image_folder(name: str) -> bool:
    """Whether a folder's name says no more than that images are in it."""
    found = words(name)
    return bool(found) and set(found) <= IMAGE_FOLDERS
