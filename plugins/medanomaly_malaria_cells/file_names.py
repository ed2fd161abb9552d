"""What a malaria cell's file name says: slide and patient."""

from __future__ import annotations

import re
from pathlib import Path

from medanomaly.data import TableError

_PREFIX = "Parasitized"


def slide_of(path: str | Path) -> str:
    """The slide's name, lower case, without the words for a thin film: ``c100p61`` for ``C100P61ThinF_IMG_….png``.

    Some copies of the set put ``Parasitized`` before the names of infected cells; that prefix is dropped.

    Raises:
        TableError: if the name has no ``_IMG_`` after the slide.
    """
    name = Path(path).name.removeprefix(_PREFIX)
    slide, found, _ = name.partition("_IMG_")
    if not found or not slide:
        raise TableError(
            f"{path}: its name does not begin with a slide and '_IMG_', as in 'C100P61ThinF_IMG_20150918_….png', so "
            "its patient is not known. Keep the publisher's names, or write a split.csv with path,label,group,split."
        )
    return re.sub("thinf", "", slide, flags=re.IGNORECASE).lower()


def patient_of(path: str | Path) -> str:
    """The patient: the slide without what tells microscopes apart, ``c47p8`` for ``C47P8thin_Original_Motic_IMG_…``."""
    return re.split(r"thin|_", slide_of(path))[0]
