"""Reading a CSV as a sample table: every cell as text, every line accounted for."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from medanomaly.cells import missing
from medanomaly.data.filled import TableError, unfilled
from medanomaly.imaging import ImageError, inside, joined, several

_SHOWN = 20


def read_columns(
    path: Path,
    columns: Collection[str],
    filled: Collection[str] = (),
    image: str = "path",
    normal: Collection[str] = (),
) -> pd.DataFrame:
    """Read a CSV as text, every cell as it stands. Blank lines are passed over.

    Args:
        path: The CSV.
        columns: Columns that it must have.
        filled: Columns of the CSV without a missing cell (see :func:`medanomaly.cells.missing`), as far as it has them.
        image: Column that names the image, for the message.
        normal: Names of the normal classes, which are names even if they look like missing cells.

    Raises:
        TableError: if it is no readable CSV, lacks one of ``columns`` or has it twice (named), or if cells are missing
            (names line and column).
    """
    names, rows, lines = _records(path)
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise TableError(f"{path}: lacks the column(s) {', '.join(lacking)}. It has: {', '.join(names)}.")
    twice = [column for column in columns if names.count(column) > 1]
    if twice:
        raise TableError(f"{path}: has the column(s) {', '.join(twice)} more than once. Rename or remove one.")
    table = pd.DataFrame(rows, columns=_unique(names), dtype=str)
    where = [f"line {line}" for line in lines]
    problems = unfilled(table, [column for column in filled if column in names], normal, where, image)
    if problems:
        raise TableError(f"{path} cannot be used:\n- " + "\n- ".join(problems))
    return table


def _records(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Names of the columns, cells of each row, and the line that each row begins on, from 1."""
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            # Strict: a quotation mark that is never closed would swallow all rows behind it.
            reader, line = csv.reader(file, strict=True), 1
            for cells in reader:
                begins, line = line, reader.line_num + 1
                if not cells or (len(cells) == 1 and not cells[0].strip()):
                    continue
                if not names:
                    names = cells
                    continue
                if any(cell.strip() for cell in cells[len(names) :]):
                    raise TableError(
                        f"{path}, line {begins}: has {len(cells)} cells, and the header has {len(names)}. "
                        "Put a cell that holds a comma in quotation marks."
                    )
                rows.append((cells + [""] * len(names))[: len(names)])
                lines.append(begins)
    except (OSError, UnicodeError, csv.Error) as error:
        raise TableError(f"{path}: is not a readable CSV ({error}).") from error
    if not names:
        raise TableError(f"{path}: is not a readable CSV (it is empty).")
    return names, rows, lines


def _unique(names: list[str]) -> list[str]:
    """Names of the columns, those without one numbered and later ones of the same name told apart, as pandas does."""
    found: list[str] = []
    for number, name in enumerate(names):
        name = unique = name or f"Unnamed: {number}"
        again = 0
        while unique in found:
            again += 1
            unique = f"{name}.{again}"
        found.append(unique)
    return found


def read_csv(root: Path, name: str, normal: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV ``path,label,group[,split][,mask]`` whose paths lie below ``root``.

    Args:
        root: Folder of the data.
        name: The CSV's path below it.
        normal: Names of the normal classes, which are labels even if they look like missing cells (``None``).

    Returns:
        Table of strings with ``image_path`` and ``mask_path`` as full paths (``""`` where there is no mask), ``label``,
        ``group`` and any other column of the file.

    Raises:
        TableError: if the file is no CSV or lacks a column (named), if a path, label, group or split is missing (names
            line and column), or if images or masks are not there or lie outside ``root`` (all listed).
    """
    path = root / name
    table = read_columns(path, ("path", "label", "group"), ("path", "label", "group", "split"), normal=normal)
    table = table.rename(columns={"path": "image_path", "mask": "mask_path"})
    problems: list[str] = []
    for column in ("image_path", "mask_path"):
        if column in table.columns:
            existing = _masks if column == "mask_path" else _existing
            table[column] = ["" if missing(cell) else existing(root, cell, problems) for cell in table[column]]
    if problems:
        more = f"\n- and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TableError(f"{path} names files that cannot be used:\n- " + "\n- ".join(problems[:_SHOWN]) + more)
    return table


def _masks(root: Path, cell: str, problems: list[str]) -> str:
    """One mask, or several of one image parted by ``|``."""
    parts = several(cell)
    if len(parts) < 2 or (root / cell).is_file():
        return _existing(root, cell, problems)
    return joined(_existing(root, mask, problems) for mask in parts)


def _existing(root: Path, path: str, problems: list[str]) -> str:
    try:
        full = inside(root, path)
    except ImageError as error:
        problems.append(str(error))
        return path
    if not full.is_file():
        problems.append(f"{path}: no such file below {root}")
    return str(full)
