"""mini-MIAS: ``labels.csv`` or the publisher's ``Info.txt``, films by number, and the lesions' circles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly.csv_cells import some
from medanomaly.data import TableError, read_columns
from medanomaly.data.find_files import by_stem, images
from medanomaly.imaging import IMAGE_SUFFIXES

#: Side in pixels of the published films, in which centres and radii are given.
SIDE = 1024
_LINE = re.compile(r"^(mdb\d{3})\s+[FGD]\s+(CALC|CIRC|SPIC|MISC|ARCH|ASYM|NORM)\b(?:\s+[BM]\b)?\s*(.*)$")
_FILM = re.compile(r"^mdb\d{3}\b")
_COLUMNS = ("id", "abnormality", "x", "y_from_bottom", "radius")
#: Folders that hold some of the films a second time.
_ASIDE = {"full_pgm_sample"}
_SHOWN = 10


@dataclass
class Film:
    """What is known of one film.

    Args:
        kind: Abnormality, in lower case: ``circ``, ``calc``, …; ``norm`` where there is none.
        circles: Centre x from the left, centre y from the BOTTOM, and radius, each in pixels of the 1024 px film.
    """

    kind: str
    circles: list[tuple[float, float, float]] = field(default_factory=list)


def has_mias(root: Path) -> bool:
    """Whether ``root`` holds the list of films."""
    return (root / "labels.csv").is_file() or (root / "Info.txt").is_file()


def read_films(root: Path) -> dict[str, Film]:
    """Films by name (``mdb001``); one with several lesions has several circles, and a wide-spread one has none.

    Raises:
        TableError: if ``labels.csv`` lacks a column or a film's abnormality, or ``Info.txt`` lists no film, or one
            without its abnormality.
    """
    rows = _csv_rows(root / "labels.csv") if (root / "labels.csv").is_file() else _info_rows(root / "Info.txt")
    films: dict[str, Film] = {}
    for name, kind, numbers in rows:
        film = films.setdefault(name, Film(kind.lower()))
        if len(numbers) == 3:
            film.circles.append((numbers[0], numbers[1], numbers[2]))
    return films


def _csv_rows(path: Path) -> list[tuple[str, str, list[float]]]:
    table = read_columns(path, _COLUMNS, ("id", "abnormality"), image="id")
    return [
        (str(row.id).strip(), str(row.abnormality).strip(), _numbers(f"{row.x} {row.y_from_bottom} {row.radius}"))
        for row in table.itertuples()
    ]


def _info_rows(path: Path) -> list[tuple[str, str, list[float]]]:
    lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines()]
    found = [(number, line, _LINE.match(line)) for number, line in enumerate(lines, 1)]
    unclear = [f"line {number} '{line}'" for number, line, m in found if not m and _FILM.match(line)]
    if unclear:
        raise TableError(f"{path}: {len(unclear)} films have no abnormality such as CIRC or NORM: {some(unclear)}.")
    rows = [(m[1], m[2], _numbers(m[3])) for _, _, m in found if m]
    if not rows:
        raise TableError(f"{path}: lists no film such as 'mdb001 G CIRC B 535 425 197'. Copy it again.")
    return rows


def _numbers(text: str) -> list[float]:
    """Centre and radius, or nothing where the list says ``*NOTE 3*``: calcifications spread widely, with no circle."""
    found = re.fullmatch(r"\s*(\d+)\s+(\d+)\s+(\d+)\s*", text)
    return [float(one) for one in found.groups()] if found else []


def about(name: str) -> dict[str, str]:
    """``patient`` and ``laterality`` of a film ``mdb…``: 1 and 2 are the first woman's right and left breast.

    Raises:
        TableError: if the name is none of the set's.
    """
    found = re.match(r"mdb(\d{3})", name)
    if not found:
        raise TableError(f"{name}: is not named as the films of mini-MIAS are, mdb001 to mdb322.")
    number = int(found[1])
    return {"patient": f"woman{(number + 1) // 2:03d}", "laterality": "R" if number % 2 else "L"}


def read_mias(root: Path, normal: str, mask_folder: str) -> pd.DataFrame:
    """List the films that lie anywhere below ``root``, with masks where ``mask_folder`` holds them.

    Returns:
        Table with ``image_path, label, group, patient, laterality, mask_path``; the label is the kind of abnormality.

    Raises:
        TableError: if listed films are not there.
    """
    films = read_films(root)
    masks = root / mask_folder
    by_name = by_stem(
        path
        for path in images(root, {*IMAGE_SUFFIXES, ".pgm"})
        if not _ASIDE & set(path.relative_to(root).parts[:-1]) and not path.is_relative_to(masks)
    )
    missing = sorted(set(films) - set(by_name))
    if missing:
        raise TableError(
            f"{root}: {len(missing)} of {len(films)} listed films are not there: {', '.join(missing[:_SHOWN])}"
            f"{' …' if len(missing) > _SHOWN else ''}. Unpack all films there, or take them out of the list."
        )
    rows = []
    for name, film in sorted(films.items()):
        mask = masks / f"{name}.png"
        rows.append(
            {
                "image_path": str(by_name[name]),
                "label": normal if film.kind == "norm" else film.kind,
                "group": about(name)["patient"],
                "mask_path": str(mask) if mask.is_file() else "",
                **about(name),
            }
        )
    return pd.DataFrame(rows)


def circle_mask(film: Film, shape: tuple[int, int]) -> np.ndarray:
    """Draw a film's circles: bool (H, W) for a film of ``shape``, which is the published one or smaller.

    The publisher counts y from the bottom edge; rows of an array are counted from the top.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across, up = (columns + 0.5) * SIDE / shape[1], SIDE - (rows + 0.5) * SIDE / shape[0]  # centres of the pixels
    mask = np.zeros(shape, bool)
    for x, y, radius in film.circles:
        mask |= (across - x) ** 2 + (up - y) ** 2 <= radius**2
    return mask
