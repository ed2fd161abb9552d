"""Which images of a ``Folder`` have which masks, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from medanomaly.csv_cells import some
from medanomaly.data.mask_pairing import Pairing
from medanomaly_folder.subfolders import Image

#: What ``masks`` may be.
MASKS = ("auto", "partial", "none")
_SHOWN = 10

_REMEDY = (
    "Name each mask as its image, such as x.png and x_mask.png. An abnormal image without mask would count as healthy "
    "in every pixel, so that finding it counts as a false alarm. Set masks: partial to go on with what fits, or masks: "
    "none if these files are images."
)


def misfits(root: Path, images: Sequence[Image], pairing: Pairing, asked: bool) -> dict[str, str]:
    """What does not fit: masks without image, masks of several images, abnormal images without mask.

    Args:
        root: Paths are shown below it.
        images: All images.
        pairing: What fits.
        asked: Whether masks were asked for; else an image needs one only where others have one.

    Returns:
        How many, in words, and the files.
    """
    ill = [image.path for image in images if image.ill]
    known = asked or pairing.orphans or pairing.unsure or any(path in pairing.masks for path in ill)
    bare = [path for path in ill if path not in pairing.masks] if known else []
    problems = {}
    if pairing.orphans:
        problems[f"{len(pairing.orphans)} masks fit no image"] = named(root, pairing.orphans)
    if pairing.unsure:
        which = [f"{below(root, mask)} ({named(root, fits, 3)})" for mask, fits in pairing.unsure]
        problems[f"{len(which)} masks fit several images, or share an image's numbers"] = some(which, _SHOWN)
    if bare:
        problems[f"{len(bare)} of {len(ill)} abnormal images have no mask"] = named(root, bare)
    return problems


def refusal(problems: Mapping[str, str]) -> str:
    """The text of the error about what does not fit."""
    listed = [f"{what}: {which}" for what, which in problems.items()]
    return "Masks and images do not fit:\n- " + "\n- ".join(listed) + "\n" + _REMEDY


def counted(images: Sequence[Image], pairing: Pairing) -> str:
    """How many abnormal images have masks, and what is not used; empty if no image has any."""
    marked = [pairing.masks[image.path] for image in images if image.ill and image.path in pairing.masks]
    number = sum(map(len, marked))
    rest = sum(map(len, pairing.masks.values())) - number
    said = [f"{len(marked)} abnormal images have {number} masks"] if marked else []
    said += [f"{rest} masks of normal images are not used"] if rest else []
    return "; ".join(said) + "." if said else ""


def below(root: Path, path: Path) -> str:
    """A path as it is shown: below ``root`` where it is."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def named(root: Path, paths: Iterable[Path], shown: int = _SHOWN) -> str:
    """The first paths, and how many more there are."""
    return some([below(root, path) for path in paths], shown)
