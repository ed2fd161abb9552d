"""Chest films in folders: Kermany's ``train|test|val/NORMAL|PNEUMONIA``, and ``effusion`` beside ``nofinding``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medanomaly.data import TableError
from medanomaly.data.find_files import directory, images

_PARTS = ("train", "val", "test")
_HEALTHY = ("nofinding", "normal")
#: ``person12_bacteria_47`` and ``NORMAL2-IM-0123-0001`` (or ``IM-0123-0001``): the person, and the examination.
_KERMANY = re.compile(r"(person\d+|(?:NORMAL2-)?IM-\d+)", re.IGNORECASE)
#: NIH's file names: patient, then number of the visit.
_NIH = re.compile(r"(\d{8})_\d{3}$")


def kermany_root(root: Path) -> Path | None:
    """The folder that holds ``train`` and ``test`` with ``NORMAL`` and ``PNEUMONIA``, or None."""
    for top in (root, root / "chest_xray"):
        if all(directory(top, (f"{part}/{kind}",)) for part in ("train", "test") for kind in ("NORMAL", "PNEUMONIA")):
            return top
    return None


def person_of(path: str | Path) -> str:
    """The person, or for healthy children the examination, that a file name of Kermany's set begins with.

    Raises:
        TableError: if the name is none of the set's.
    """
    found = _KERMANY.match(Path(path).name)
    if not found:
        raise TableError(
            f"{path}: its name begins neither with 'person<number>' nor with '[NORMAL2-]IM-<number>', so its person is "
            "not known. Keep the publisher's names, or write a split.csv with path,label,group,split."
        )
    return found.group(1)


def read_kermany(top: Path, normal: str) -> pd.DataFrame:
    """List the films; the 16 of the official ``val`` are counted as ``train``, from which validation is drawn anew.

    Person numbers restart in ``test``: there ``person1`` is somebody else than in ``train``, so the group has the
    folder's name in it.
    """
    rows = []
    for part in _PARTS:
        for kind, label in (("NORMAL", normal), ("PNEUMONIA", "pneumonia")):
            folder = directory(top, (f"{part}/{kind}",))
            source = "test" if part == "test" else "train"
            rows += [
                (str(path), label, source, f"{source}-{person_of(path)}") for path in (images(folder) if folder else [])
            ]
    return pd.DataFrame(rows, columns=["image_path", "label", "split", "group"])


def two_folders(root: Path, findings: Sequence[str]) -> tuple[Path, dict[str, Path]] | None:
    """The folder of healthy films and, by finding, those of abnormal ones; None where either is lacking."""
    healthy = directory(root, _HEALTHY)
    found = {finding: directory(root, (finding,)) for finding in findings}
    abnormal = {finding: folder for finding, folder in found.items() if folder is not None}
    return (healthy, abnormal) if healthy is not None and abnormal else None


def read_two_folders(healthy: Path, abnormal: dict[str, Path], normal: str) -> pd.DataFrame:
    """List both folders; the patient is the first number of NIH's file names (``00000013_005.png``).

    Raises:
        TableError: if a file has another name, because its patient would be unknown.
    """
    rows = []
    for label, folder in ((normal, healthy), *abnormal.items()):
        for path in images(folder):
            found = _NIH.search(path.stem)
            if not found:
                raise TableError(
                    f"{path}: is not named as NIH's films are, '00000013_005.png', so its patient is not known. Keep "
                    "those names, or use medanomaly.data.Folder with a group_pattern."
                )
            rows.append((str(path), label, f"patient{int(found.group(1))}"))
    return pd.DataFrame(rows, columns=["image_path", "label", "group"])
