"""Check required cells of a sample table, and unify spellings of one class or one group.

A label that is missing is no label: to count such an image as diseased, because it is not called normal, moves
thresholds and figures without a word. A group that is missing would make one patient of all, or none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

import pandas as pd

import medanomaly.data.pandas_text  # noqa: F401
from medanomaly.csv_cells import SHOWN, among, missing, some, spelled
from medanomaly.errors import MedAnomalyError

logger = logging.getLogger(__name__)

#: Where a table's ``attrs`` keep what :func:`noted` said.
NOTES = "notes"
_REMEDY = {
    "label": "Write each image's class, or take its row out: an image without a label is neither normal nor abnormal.",
    "group": "Write each image's patient. Where every image is a patient of its own, give each a group of its own, "
    "such as its path.",
    "split": "Write train, val or test in each row, or leave the column out if the plugin can deal the groups.",
    "image_path": "Take out the rows that name no image; spreadsheets often leave such a row at the end.",
}
_REMEDY["path"] = _REMEDY["image_path"]
_WORDS = "A word such as NA or None counts as missing. If it is a name, write the name in full."


class TableError(MedAnomalyError, ValueError):
    """The sample table cannot be used. The message lists the offending rows and the remedy."""


def unfilled(
    table: pd.DataFrame,
    columns: Collection[str],
    normal: Collection[str] = (),
    where: Sequence[str] | None = None,
    image: str = "image_path",
) -> list[str]:
    """Find missing cells, see :func:`medanomaly.csv_cells.missing`.

    Args:
        table: Any table.
        columns: The columns that must be filled.
        normal: Names of the normal classes: as a ``label``, these are names whatever they look like.
        where: For each row how a reader finds it, such as ``line 7``; by default ``row 6`` of the table, from 1.
        image: The column that names the image.

    Returns:
        One sentence for each column with missing cells: how many, the first rows, and the remedy.
    """
    problems = []
    for column in columns:
        names = normal if column == "label" else ()
        cells = table[column].tolist()
        rows = [row for row, cell in enumerate(cells) if missing(cell) and not _is_name(cell, names)]
        if not rows:
            continue
        found = []
        for row in rows[:SHOWN]:
            place = where[row] if where is not None else f"row {row + 1}"
            path = table[image].iloc[row] if image in table.columns and column != image else None
            word = str(cells[row]).strip() if isinstance(cells[row], str) else ""
            found.append(place + ("" if missing(path) else f" {path}") + (f" ('{word}')" if word else ""))
        words = any(isinstance(cells[row], str) and cells[row].strip() for row in rows)
        remedy = [_REMEDY.get(column, "Fill it in, or take these rows out."), *([_WORDS] if words else [])]
        problems.append(
            f"column '{column}' is missing in {len(rows)} of {len(cells)} rows: {some(found, of=len(rows))}. "
            + " ".join(remedy)
        )
    return problems


def _is_name(cell: object, names: Collection[str]) -> bool:
    return isinstance(cell, str) and bool(spelled(cell)) and among(cell, names) is not None


def require(
    table: pd.DataFrame, columns: Collection[str], normal: Collection[str] = (), source: str = "The sample table"
) -> None:
    """Raise one error for all missing cells of ``columns``; ``source`` begins it.

    Raises:
        TableError: names the number of rows, the first of them, and the column.
    """
    problems = unfilled(table, columns, normal)
    if problems:
        raise TableError(f"{source} cannot be used:\n- " + "\n- ".join(problems))


def is_normal(labels: pd.Series, normal: Collection[str]) -> pd.Series:
    """For each label whether it means a normal class, upper and lower case and blanks aside."""
    known = {label: among(label, normal) is not None for label in labels.unique()}
    return labels.map(known).astype(bool)


def tidied(table: pd.DataFrame, normal: Collection[str] | None = None) -> pd.DataFrame:
    """One spelling for the normal classes and for each group; what is right already stays as it is.

    A label that means a normal class, upper and lower case and blanks aside, becomes that class's name. Groups that
    differ in blanks around them, or in ``.0`` behind a whole number, as when Excel wrote some of them, become one: to
    take one patient for two would hide a leak. What was changed is logged once, and kept in the table's ``attrs``.

    Args:
        table: Column ``group``, and ``label`` where ``normal`` is given.
        normal: Names of the normal classes; None leaves labels alone.

    Returns:
        The same table, or a new one where something was changed.

    Raises:
        TableError: if a label or a group is missing.
    """
    require(table, ["group"] if normal is None else ["label", "group"], normal or ())
    notes: list[str] = []
    if normal is not None:
        table = _renamed(table, "label", lambda texts: _normal_names(texts, normal), notes)
    table = _renamed(table, "group", _one_spelling, notes)
    return noted(table, notes)


def noted(table: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """Log sentences on how a table was read, and keep them in its ``attrs``; returns the table."""
    notes = [note.encode("utf-8", "backslashreplace").decode() for note in notes]  # names of files may be bytes
    for note in notes:
        logger.warning(note)
    if notes:
        table.attrs = {**table.attrs, NOTES: [*table.attrs.get(NOTES, []), *notes]}
    return table


def _normal_names(texts: Collection[str], normal: Collection[str]) -> dict[str, str]:
    found = {text: among(text, normal) for text in texts}
    return {text: name for text, name in found.items() if name is not None and name != text}


def _one_spelling(texts: Collection[str]) -> dict[str, str]:
    same: dict[str, list[str]] = {}
    for text in texts:
        same.setdefault(spelled(text), []).append(text)
    return {text: name for name, texts in same.items() if len(texts) > 1 for text in texts if text != name}


def _renamed(
    table: pd.DataFrame, column: str, names: Callable[[Collection[str]], dict[str, str]], notes: list[str]
) -> pd.DataFrame:
    texts = table[column].astype(str)
    new = names(list(dict.fromkeys(texts)))
    if not new:
        return table
    counts = texts.value_counts()
    for name in dict.fromkeys(new.values()):
        spellings = [f"'{text}' ({_images(int(counts[text]))})" for text in new if new[text] == name]
        notes.append(f"Column '{column}': {some(spellings)} taken for '{name}'.")
    return table.assign(**{column: texts.map(lambda text: new.get(text, text))})


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
