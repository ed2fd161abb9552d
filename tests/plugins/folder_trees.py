"""Trees of files as people have them, for the tests of ``Folder``."""

from __future__ import annotations

from pathlib import Path

from medanomaly.data import Folder
from medanomaly.imaging import several


def tree(root: Path, *names: str) -> Path:
    """Files that no test reads."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def normals(root: Path, number: int = 12) -> Path:
    return tree(root, *(f"normal/n{i:02d}.png" for i in range(number)))


def listed(root: Path, **options):
    """Path below ``root`` to label, group and masks."""
    module = Folder(root=root, **options)
    table = module.listed
    below = {}
    for row in table.itertuples():
        masks = [Path(mask).relative_to(root).as_posix() for mask in several(row.mask_path)]
        below[Path(row.image_path).relative_to(root).as_posix()] = (row.label, row.group, masks)
    assert len(below) == len(table)
    return below, module


def masks_of(root: Path, **options) -> dict[str, list[str]]:
    return {path: masks for path, (_, _, masks) in listed(root, **options)[0].items() if masks}


def busi(root: Path) -> Path:
    for kind, place in (("benign", "abnormal/benign"), ("malignant", "abnormal/malignant"), ("normal", "normal")):
        for i in range(1, 9):
            tree(root, f"{place}/{kind} ({i}).png", f"{place}/{kind} ({i})_mask.png")
    return tree(root, "abnormal/benign/benign (4)_mask_1.png", "abnormal/benign/benign (4)_mask_2.png")
