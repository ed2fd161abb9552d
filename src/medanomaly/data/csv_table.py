"""Read a CSV as a sample table: every cell as text, every line accounted for, every file found."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

from medanomaly import csv_text
from medanomaly.csv_cells import missing
from medanomaly.data.required_cells import TableError, noted, unfilled
from medanomaly.data.reserved_columns import renamed
from medanomaly.data.table_files import FoundFiles

_NEEDED = ("path", "label", "group")
#: Columns that a table may have, and that mean something to the toolkit.
_OPTIONAL = ("split", "mask", "mask_path")


def read_columns(
    path: Path,
    columns: Collection[str],
    filled: Collection[str] = (),
    image: str = "path",
    normal: Collection[str] = (),
    optional: Collection[str] = (),
    names_files: Callable[[csv_text.CsvText], bool] | None = None,
) -> pd.DataFrame:
    """Read a CSV as text, every cell as it stands. Blank lines are passed over.

    What is written otherwise than expected and has one meaning is read, see :func:`medanomaly.csv_text.read`: it is
    logged, and kept in the table's ``attrs``.

    Args:
        path: The CSV.
        columns: Columns that it must have; blanks around them, upper and lower case make no difference.
        filled: Columns of the CSV without a missing cell (see :func:`medanomaly.csv_cells.missing`), where present.
        image: Column that names the image, for the message.
        normal: Names of the normal classes, which are names even if they look like missing cells.
        optional: Further columns that mean something, so that they are known however they are written.
        names_files: Whether all files that a reading names are there, for a CSV that is not in UTF-8.

    Raises:
        TableError: if it is no readable CSV, lacks one of ``columns`` or has it twice (named), or if cells are missing
            (names line and column).
    """
    known = [*columns, *filled, *optional]
    try:
        found = csv_text.read(path, [(column,) for column in columns], known, names_files)
    except csv_text.CsvError as error:
        raise TableError(str(error)) from error
    table = pd.DataFrame(found.rows, columns=_unique(found.names), dtype=str)
    where = [f"line {line}" for line in found.lines]
    problems = unfilled(table, [column for column in filled if column in found.names], normal, where, image)
    if problems:
        raise TableError(f"{path} cannot be used:\n- " + "\n- ".join(problems))
    return noted(table, found.notes)


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
        Table of strings with ``image_path`` and ``mask_path`` as full paths or addresses of frames (``""`` where there
        is no mask), ``label``, ``group`` and any other column of the file.

    Raises:
        TableError: if the file is no CSV or lacks a column (named), if a path, label, group or split is missing (names
            line and column), or if images or masks are not there or lie outside ``root`` (all listed).
    """
    path = root / name
    files = FoundFiles(root)

    def names_files(text: csv_text.CsvText) -> bool:
        columns = [text.names.index(column) for column in ("path", "mask", "mask_path") if column in text.names]
        cells = {row[column] for row in text.rows for column in columns}
        return all(files.has(cell) for cell in cells if not missing(cell) and not cell.isascii())

    filled = (*_NEEDED, "split")
    table = read_columns(path, _NEEDED, filled, normal=normal, optional=_OPTIONAL, names_files=names_files)
    for ours, theirs in (("image_path", "path"), ("mask_path", "mask")):
        if theirs in table.columns:
            table = renamed(table, [ours]).rename(columns={theirs: ours})
    for column in ("image_path", "mask_path"):
        if column in table.columns:
            find = files.find_masks if column == "mask_path" else files.find
            table[column] = ["" if missing(cell) else find(cell) for cell in table[column]]
    if files.problems:
        raise TableError(f"{path} names files that cannot be used:\n- " + "\n- ".join(files.listed()))
    return noted(table, files.notes(path.name))
