"""Read the text of a user's CSV: encoding, separator and column names, as programs and spreadsheets write them.

What has one meaning is read, and said in one line; anything else is an error that names the cause. Standard library
only: tables of images and scores for ``decide`` go through it alike.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medanomaly.errors import MedAnomalyError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What files that are often renamed to ``.csv`` begin with.
_OTHERS = (
    (b"PK\x03\x04", "a workbook of Excel or LibreOffice, or another archive"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "an RTF document"),
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
#: Latin text that is no UTF-8: as Windows writes it in Western Europe, or bytes of file names as they stand.
_WINDOWS, _AS_BYTES = "windows-1252", "the bytes of file names"
_REMEDY = "Save it as a CSV in UTF-8, separated by commas."
_UNSEEN = "\u200b\ufeff"


class CsvError(MedAnomalyError, ValueError):
    """A CSV cannot be read. The message names the file, the cause and the remedy."""


class LacksError(CsvError):
    """A CSV lacks a column.

    Args:
        message: As for :class:`CsvError`.
        names: The columns that it has.
    """

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = list(names)


@dataclass
class CsvText:
    """What a CSV holds.

    Args:
        names: Names of the columns as the caller calls them; others as they stand.
        rows: Cells of each row, as many as there are names.
        lines: The line that each row begins on, from 1, as an editor counts.
        separator: What parts the cells.
        notes: What was not written as expected and read all the same; one sentence each.
    """

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str = ","
    notes: list[str] = field(default_factory=list)


def read(
    path: Path,
    needed: Collection[Collection[str]],
    known: Collection[str] = (),
    holds: Callable[[CsvText], bool] | None = None,
    else_it: str = "names files that are not there",
) -> CsvText:
    """Read a CSV as text, every cell as it stands. Blank lines are passed over.

    Commas are taken for separators where they part the columns that are needed; else semicolons, tabs or bars. UTF-8
    and, by their mark, UTF-16 and UTF-32 are read; what is no UTF-8 is read as Windows-1252, or its file names byte
    by byte, whichever names files that are there.

    Args:
        path: The file.
        needed: Columns that it must have; of each collection one.
        known: Columns that it may have, and that mean something.
        holds: Whether a reading of what is no UTF-8 can be right, as where all files that it names are there; without
            it, Windows-1252 is taken.
        else_it: What a reading does that cannot be right, for the message.

    Raises:
        CsvError: if it is no readable CSV, lacks a column, or has one twice.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CsvError(f"{path}: cannot be read ({error.strerror or error}).") from error
    known = [*dict.fromkeys([name for group in needed for name in group] + list(known))]
    texts, wrong = _texts(path, data)
    for text, encoding in texts:
        found = _parsed(path, text, encoding, needed, known)
        if wrong is None or (encoding != _AS_BYTES if holds is None else holds(found)):
            return found
    why = f", and read as Windows-1252 it {else_it}" if holds else ""
    raise CsvError(f"{path}: cannot be read: it is not UTF-8 (line {data[:wrong].count(10) + 1}){why}. {_REMEDY}")


def _texts(path: Path, data: bytes) -> tuple[list[tuple[str, str]], int | None]:
    """Ways to read bytes as text, the likeliest first: text and encoding, empty for UTF-8.

    Returns:
        The ways, and the place of the first byte that is no UTF-8; None where there is but one way.
    """
    if not data.strip():
        raise CsvError(f"{path}: is not a readable CSV (it is empty).")
    other = next((what for begins, what in _OTHERS if data.startswith(begins)), None)
    if other:
        raise CsvError(f"{path}: is not a readable CSV: it is {other}. {_REMEDY}")
    mark = next(((mark, name) for mark, name in _BOMS if data.startswith(mark)), None)
    encoding = mark[1] if mark else _wide(data)
    if encoding == "utf-8" and mark:
        data, encoding = data[len(mark[0]) :], ""
    if encoding:
        try:
            return [(data.decode(encoding), encoding[:6].upper())], None
        except UnicodeDecodeError as error:
            raise CsvError(f"{path}: is not a readable CSV (damaged {encoding.upper()}). {_REMEDY}") from error
    if b"\0" in data:
        raise CsvError(f"{path}: is not a readable CSV: it holds zero bytes, as text does not. {_REMEDY}")
    try:
        return [(data.decode("utf-8"), "")], None
    except UnicodeDecodeError as error:
        wrong = error.start
    found = [(data.decode("utf-8", "surrogateescape"), _AS_BYTES)]
    with contextlib.suppress(UnicodeDecodeError):  # five bytes mean nothing there
        # First, since a class or a group in it then reads as it was written.
        found.insert(0, (data.decode(_WINDOWS), _WINDOWS.capitalize()))
    return found, wrong


def _wide(data: bytes) -> str:
    """UTF-16 without its mark: every other byte of Latin text is zero."""
    start = data[:400]
    for encoding, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if zeros and zeros.count(0) == len(zeros) and 0 not in letters:
            return encoding
    return ""


def _parsed(path: Path, text: str, encoding: str, needed: Collection[Collection[str]], known: Sequence[str]) -> CsvText:
    """A CSV's cells, parted by the first separator that gives the columns that are needed."""
    first, _, rest = text.partition("\n")
    said = first.strip().casefold()
    skipped = 0
    separators = list(_SEPARATORS)
    if said.startswith("sep=") and len(said) == 5:  # as Excel reads and writes it
        text, skipped, separators = rest, 1, [first.strip()[4]]
    elif said == "sep=" and first.rstrip("\r\n").endswith("\t"):
        text, skipped, separators = rest, 1, ["\t"]
    headers = {separator: _header(text, separator) for separator in separators}
    if not any(headers.values()):
        _records(path, text, separators[0], skipped)  # says why
    lacks = {separator: _lacking(names, needed, known) for separator, names in headers.items()}
    separator = min(separators, key=lambda one: len(lacks[one]))  # of equals the first, the comma
    header = headers[separator]
    if lacks[separator]:
        has = ", ".join(_quoted(name) for name in header)
        hint = "" if len(header) > 1 else " Separate the columns by commas."
        raise LacksError(f"{path}: lacks the column(s) {', '.join(lacks[separator])}. It has: {has}.{hint}", header)
    found = _records(path, text, separator, skipped)
    found.notes = [f"{path.name}: read as {encoding}."] if encoding else []
    if separator != ",":
        parts = _SEPARATORS.get(separator, f"'{separator}'")
        found.notes.append(f"{path.name}: its columns are separated by {parts}.")
    meanings = _meanings(path, found.names, known)
    if meanings:
        renamed = ", ".join(f"{_quoted(old)} read as '{new}'" for old, new in meanings.items())
        found.notes.append(f"{path.name}: column {renamed}.")
    found.names = [meanings.get(name, name) for name in found.names]
    twice = [name for name in known if found.names.count(name) > 1]
    if twice:
        raise CsvError(f"{path}: has the column(s) {', '.join(twice)} more than once. Rename or remove one.")
    return found


def _quoted(name: str) -> str:
    return name if name and name == name.strip() else f"'{name}'"


def _key(name: str) -> str:
    """A column's name without what few would see: blanks around it, upper and lower case."""
    return unicodedata.normalize("NFC", name.strip().strip(_UNSEEN).strip()).casefold()


def _header(text: str, separator: str) -> list[str]:
    """Names of the columns; none where the text cannot be parted so."""
    with contextlib.suppress(csv.Error):
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            if cells and (len(cells) > 1 or cells[0].strip()):
                return cells
    return []


def _lacking(names: Sequence[str], needed: Collection[Collection[str]], known: Sequence[str]) -> list[str]:
    keys = {_key(name) for name in names}
    assert all(name in known for group in needed for name in group)
    return [" or ".join(group) for group in needed if not any(name in names or _key(name) in keys for name in group)]


def _meanings(path: Path, names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Columns that are written otherwise than the known ones that they mean; a name that is right stays alone."""
    found: dict[str, str] = {}
    for name in known:
        like = [other for other in names if other not in known and _key(other) == _key(name)]
        if name in names or not like:
            continue
        if len(like) > 1:
            both = " and ".join(_quoted(other) for other in like)
            raise CsvError(f"{path}: {both} may both be the column {name}. Rename or remove one.")
        found[like[0]] = name
    return found


def _records(path: Path, text: str, separator: str, skipped: int) -> CsvText:
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        # Strict: a quotation mark that is never closed would swallow all rows behind it.
        reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1 + skipped
        for cells in reader:
            begins, line = line, reader.line_num + 1 + skipped
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if not names:
                names = cells
                continue
            if any(cell.strip() for cell in cells[len(names) :]):
                mark = {",": "comma", ";": "semicolon", "\t": "tab"}.get(separator, separator)
                raise CsvError(
                    f"{path}, line {begins}: has {len(cells)} cells, and the header has {len(names)}. "
                    f"Put a cell that holds a {mark} in quotation marks."
                )
            rows.append((cells + [""] * len(names))[: len(names)])
            lines.append(begins)
    except csv.Error as error:
        raise CsvError(f"{path}: is not a readable CSV ({error}).") from error
    if not names:
        raise CsvError(f"{path}: is not a readable CSV (it is empty).")
    return CsvText(names, rows, lines, separator)
