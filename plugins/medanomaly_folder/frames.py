"""Files that hold several frames become these, each with its own mask where the masks have as many."""

from __future__ import annotations

from pathlib import Path

from medanomaly.data import TableError
from medanomaly.imaging import ImageError, frames, joined

#: Formats that hold one picture: they need not be opened.
_SINGLE = frozenset({".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp"})


def addresses(path: Path) -> list[str]:
    """A file's own path, or the address of each of its frames; a file that cannot be read is met when it is read."""
    if path.suffix.lower() in _SINGLE:
        return [str(path)]
    try:
        return frames(path)
    except ImageError:
        return [str(path)]


def with_masks(path: Path, masks: list[Path]) -> list[tuple[str, str]]:
    """The address and the mask cell of each frame of an image.

    Raises:
        TableError: if the image has several frames, and a mask not as many; or a mask's name cannot be in a cell.
    """
    images = addresses(path)
    if len(images) == 1:
        return [(images[0], _cell(masks))]
    parts = [addresses(mask) for mask in masks]
    for mask, part in zip(masks, parts, strict=True):
        if len(part) != len(images):
            raise TableError(
                f"{path} has {len(images)} frames, and its mask {mask} has {len(part)}. Give the mask as many frames, "
                "or name masks of single frames in a CSV (Table)."
            )
    return [(image, _cell([part[number] for part in parts])) for number, image in enumerate(images)]


def _cell(masks: list[Path] | list[str]) -> str:
    try:
        return joined(masks)
    except ValueError as error:
        raise TableError(str(error)) from error
