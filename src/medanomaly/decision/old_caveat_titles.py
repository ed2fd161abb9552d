"""Correct titles of caveats that runs and bundles of earlier versions hold."""

from __future__ import annotations

from typing import Any

#: Title as it was written, and as it is meant. Version 0.1.0 wrote the first where chance could *not* be ruled out.
MEANT = {"No better than chance can be ruled out": "Chance cannot be ruled out"}


def meant(title: str) -> str:
    """A stored title as this version says it."""
    return MEANT.get(title, title)


def as_meant(caveats: Any) -> Any:
    """Caveats of a run's evidence or of a bundle's card, read from a file, with titles as this version says them.

    What is no list of records stays as it is: the reader of the file says what is wrong with it.
    """
    if not isinstance(caveats, list):
        return caveats
    return [
        {**one, "title": meant(one["title"])} if isinstance(one, dict) and isinstance(one.get("title"), str) else one
        for one in caveats
    ]
