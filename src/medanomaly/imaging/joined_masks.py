"""Join several masks of one image: a cell ``left.png|right.png`` marks what any of them marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from medanomaly.imaging.limits import ImageError

#: Parts the paths; no name on Windows can hold it.
BAR = "|"


def several(mask_path: str | Path) -> list[str]:
    """The masks that a cell names; none for an empty one. A file whose name really holds ``|`` is meant as the file."""
    text = str(mask_path)
    if BAR not in text or Path(text).is_file():
        return [text] if text else []
    return [part for part in (part.strip() for part in text.split(BAR)) if part]


def joined(mask_paths: Iterable[str | Path]) -> str:
    """The cell that names all of these masks.

    Raises:
        ValueError: if there are several and one holds ``|``.
    """
    paths = [str(path) for path in mask_paths]
    if len(paths) > 1 and (odd := [path for path in paths if BAR in path]):
        raise ValueError(f"{odd[0]}: is one of several masks of an image, and its name holds '{BAR}'. Rename it.")
    return BAR.join(paths)


def united(mask_paths: Iterable[str], decode: Callable[[str], np.ndarray]) -> np.ndarray:
    """What any of several masks marks, (H, W) of bool.

    Args:
        mask_paths: One path or more.
        decode: Path to mask (H, W) of bool.

    Raises:
        ImageError: if their sizes differ, or as ``decode`` does; names the file.
    """
    whole: np.ndarray | None = None
    first = ""
    for path in mask_paths:
        mask = decode(path)
        if whole is None:
            whole, first = mask, path
        elif whole.shape != mask.shape:
            sizes = [f"{shape[1]}×{shape[0]}" for shape in (whole.shape, mask.shape)]
            raise ImageError(f"{path}: is a mask of {sizes[1]} pixels, and {first}, of the same image, of {sizes[0]}.")
        else:
            whole = whole | mask
    assert whole is not None
    return whole
