"""Empty cells, equal cells and shortened lists of a CSV table. Standard library only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

#: What pandas, R, databases and spreadsheets write where there is no value, in any case of letters.
_NOTHING = frozenset(
    {"", "nan", "-nan", "none", "na", "n/a", "n.a.", "n. a.", "<na>", "#na", "#n/a", "#n/a n/a", "null"}
    | {"#nv", "#n/d", "#n/b", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}  # Excel's #N/A in other languages
)
#: Excel's errors in any language, and marks that stand in a cell so that it is not empty: dashes, dots, question marks.
_MARK = re.compile(r"#\S+[!?]|[-‐‑‒–—―−.…?\s]+")
#: In this case of letters alone: "NAT" is normal tissue adjacent to a tumour.
_NOT_A_TIME = "NaT"
#: Marks without width, which no reader sees and ``strip`` leaves.
_UNSEEN = "\u200b\ufeff"
#: Of a long list a message shows the first.
SHOWN = 20
_WHOLE = re.compile(r"([^.]*\d)\.0*")


def missing(cell: Any) -> bool:
    """Whether a cell says nothing: None, NaN, ``pd.NA``, blanks, a word for no value (``NA``) or a mark (``-``)."""
    if isinstance(cell, str):
        text = _stripped(cell)
        return text == _NOT_A_TIME or text.casefold() in _NOTHING or _MARK.fullmatch(text) is not None
    if cell is None:
        return True
    try:
        return bool(cell != cell)  # NaN and NaT differ from themselves
    except TypeError:  # pd.NA is neither true nor false
        return True
    except ValueError:  # an array
        return False


def _stripped(text: str) -> str:
    return text.strip().strip(_UNSEEN).strip()


def spelled(cell: Any) -> str:
    """A cell's text without what no reader sees: blanks around it, ``.0`` behind a whole number, composed letters.

    Text with another point is left alone: ``1.2.840.0`` may be an identifier beside ``1.2.840``.
    """
    text = unicodedata.normalize("NFC", _stripped(str(cell)))
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def among(label: Any, names: Collection[str]) -> str | None:
    """The one of ``names`` that a label means, upper and lower case and blanks aside; None if it means none."""
    text = str(label)
    if text in names:
        return text
    key = spelled(text).casefold()
    return next((name for name in names if spelled(name).casefold() == key), None)


def some(items: Iterable[str], shown: int = SHOWN, of: int | None = None) -> str:
    """The first items, separated by commas, and how many more there are; ``of`` all, where only the first are given."""
    listed = list(items)
    return " ".join(filter(None, (", ".join(listed[:shown]), rest(len(listed) if of is None else of, shown))))


def rest(number: int, shown: int = SHOWN) -> str:
    """ "and 3 more": what a list of ``number`` leaves out after the first ``shown``; "" where it leaves out none."""
    return f"and {number - shown} more" if number > shown else ""
