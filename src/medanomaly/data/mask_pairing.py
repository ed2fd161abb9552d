"""Pair masks with images by names and folders; what fits no image, or several, is listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medanomaly.data.mask_names import MARKS, PLAIN_MARKS, Name, image_folder, mask_folder, name_of, words


@dataclass(frozen=True)
class Placed:
    """A file among images or masks.

    Args:
        path: The file.
        folder: The folders that it lies in below its directory of images or masks, as they are compared.
        first: Of an image: it is taken before others whose name fits as well, as an abnormal one before a normal one.
    """

    path: Path
    folder: tuple[str, ...] = ()
    first: bool = True

    @property
    def name(self) -> Name:
        """Its name."""
        return name_of(self.path)


@dataclass
class Pairing:
    """What belongs together.

    Args:
        masks: The masks of each image that has any, sorted.
        orphans: Masks that fit no image.
        unsure: Masks that fit several images, or share an image's numbers with other masks; and what they fit.
    """

    masks: dict[Path, list[Path]] = field(default_factory=dict)
    orphans: list[Path] = field(default_factory=list)
    unsure: list[tuple[Path, list[Path]]] = field(default_factory=list)

    def add(self, other: Pairing) -> None:
        """Take in another."""
        for image, masks in other.masks.items():
            self.masks[image] = sorted({*self.masks.get(image, []), *masks})
        self.orphans += other.orphans
        self.unsure += other.unsure


def placed(path: Path, top: Path, first: bool = True) -> Placed:
    """A file below ``top``; folders such as ``images`` and ``masks`` do not count in the comparison."""
    parts = path.relative_to(top).parts[:-1]
    kept = (" ".join(words(part)) for part in parts if not mask_folder(part) and not image_folder(part))
    return Placed(path, tuple(kept), first)


def pair(images: Iterable[Placed], masks: Iterable[Placed], by_numbers: bool = True) -> Pairing:
    """Find the image of each mask; an image may have several.

    A mask fits the image of the same name, else of the same name without words such as ``mask``, ``seg`` and ``image``
    and without a number behind such a word. Where none of these fits, the image of the same numbers, if no other mask
    has them and no mask named in that way fits by name: so ``ann- (12)`` belongs to ``img- (12)``. Of several images of
    one name, that in a folder of the mask's name.

    Args:
        images: Images.
        masks: Masks.
        by_numbers: Whether numbers alone may tell.
    """
    found, rest, masks = Pairing(), [], list(masks)
    if not masks:
        return found
    known = _Known(list(images))
    shapes = set()
    fitting: dict[Path, list[Path]] = defaultdict(list)
    for mask in masks:
        candidates = known.by_name(mask)
        if len(candidates) == 1:
            fitting[candidates[0].path].append(mask.path)
            shapes.add(mask.name.shape)
        elif candidates:
            found.unsure.append((mask.path, [image.path for image in candidates]))
        else:
            rest.append(mask)
    numbered: dict[Path, list[Path]] = defaultdict(list)
    for mask in rest:
        usable = by_numbers and mask.name.numbers and mask.name.shape not in shapes
        candidates = [image for image in known.by_numbers(mask) if image.path not in fitting] if usable else []
        if len(candidates) == 1:
            numbered[candidates[0].path].append(mask.path)
        elif candidates:
            found.unsure.append((mask.path, [image.path for image in candidates]))
        else:
            found.orphans.append(mask.path)
    for image, paths in numbered.items():
        if len(paths) == 1:
            fitting[image] += paths
        else:
            found.unsure += [(path, [image]) for path in paths]
    found.masks = {image: sorted(paths) for image, paths in fitting.items()}
    return found


class _Known:
    """Images by what their names say."""

    def __init__(self, images: Sequence[Placed]) -> None:
        self._folders = {part for image in images for part in image.folder}
        self._by_stem: dict[str, list[Placed]] = defaultdict(list)
        self._by_words: tuple[dict[tuple[str, ...], list[Placed]], ...] = (defaultdict(list), defaultdict(list))
        self._by_numbers: dict[tuple[int, ...], list[Placed]] = defaultdict(list)
        for image in images:
            name = image.name
            self._by_stem[name.stem.casefold()].append(image)
            for index, key in zip(self._by_words, name.image_keys(), strict=True):
                index[key].append(image)
            self._by_numbers[name.numbers].append(image)

    def by_name(self, mask: Placed) -> list[Placed]:
        """The images of the closest name, as few as the folders leave."""
        name = mask.name
        found = self._narrowed(mask, self._by_stem.get(name.stem.casefold(), []))
        for key in name.mask_keys():
            for index in self._by_words:
                found = found or self._narrowed(mask, index.get(key, []))
        return found

    def by_numbers(self, mask: Placed) -> list[Placed]:
        """The images of the same numbers."""
        return self._narrowed(mask, self._by_numbers.get(mask.name.numbers, []))

    def _narrowed(self, mask: Placed, images: list[Placed]) -> list[Placed]:
        said = self._folders & set(mask.folder)
        if said:  # a mask of one class is none of another's
            images = [image for image in images if said & set(image.folder)]
        images = _most(images, lambda image: _common(image.folder, mask.folder))
        return _most(images, lambda image: image.first)


def _most(images: list[Placed], value: Callable[[Placed], int]) -> list[Placed]:
    most = max(map(value, images), default=0)
    return [image for image in images if value(image) == most]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    number = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        number += 1
    return number


def part(paths: Sequence[Path], top: Path, first: bool = True) -> tuple[list[Path], Pairing]:
    """Tell the masks that lie among images from these: in folders called as masks are, or beside their image.

    A file is a mask if it lies in a folder such as ``masks``, or if a word such as ``mask`` or ``seg`` is in its name
    and the rest names another file of its folder.

    Args:
        paths: Files below ``top``, sorted.
        top: A directory of images.
        first: As for :class:`Placed`.

    Returns:
        The images, in their order; and which masks are theirs. A file that is called ``mask`` and fits no image is an
        orphan.
    """
    inside = [path for path in paths if any(map(mask_folder, path.relative_to(top).parts[:-1]))]
    taken = set(inside)
    found = Pairing()
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        if path not in taken:
            folders[path.parent].append(path)
    for files in folders.values():
        beside = _beside(files)
        found.add(beside)
        taken.update(mask for masks in beside.masks.values() for mask in masks)
        taken.update(beside.orphans, (mask for mask, _ in beside.unsure))
    images = [path for path in paths if path not in taken]
    found.add(pair([placed(path, top, first) for path in images], [placed(path, top) for path in inside]))
    return images, found


def _beside(files: Sequence[Path]) -> Pairing:
    """Masks of one folder that lie beside their images."""
    names = {path: name_of(path).marks & MARKS for path in files}
    images = [Placed(path) for path, marks in names.items() if not marks]
    if not images or len(images) == len(files):  # if all are called so, it is no mark
        return Pairing()
    found = pair(images, [Placed(path) for path, marks in names.items() if marks & PLAIN_MARKS])
    others = [Placed(path) for path, marks in names.items() if marks and not marks & PLAIN_MARKS]
    weak = pair(images, others, by_numbers=False)
    shapes = {name_of(mask).shape for masks in weak.masks.values() for mask in masks}
    weak.orphans = [path for path in weak.orphans if name_of(path).shape in shapes]
    found.add(weak)
    return found
