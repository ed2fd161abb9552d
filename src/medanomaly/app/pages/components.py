"""Components of the page that Streamlit lacks: the drop field and the reading part."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_STATIC = Path(__file__).parents[1] / "static"
#: The reading part is several files, which the browser loads from the page's own address. Streamlit takes what has one
#: line for a path.
_LOADER = """
const code = await import(new URL("/read/code/reading.js", location.origin));
export default code.default;
"""


@cache
def _component(name: str) -> Any:
    def text(suffix: str) -> str:
        return (_STATIC / f"{name}.{suffix}").read_text(encoding="utf-8")

    code = _LOADER if name == "reading" else text("js")
    return st.components.v2.component(f"medanomaly.{name}", html=text("html"), css=text("css"), js=code)


def drop(data: dict[str, Any]) -> int | None:
    """Show the drop field; returns how many files are on their way since the last run, or None.

    Args:
        data: Plain values; it sets them as text and attributes, never as HTML.
    """
    # Streamlit returns a trigger's value only where it has a callback.
    return _component("drop")(key="drop", data=data, on_pick_change=lambda: None).pick


def reading(data: dict[str, Any]) -> str | None:
    """Show the reading part: list, picture, figures, marks; returns the reader's name, None before it is known.

    Args:
        data: Plain values: ``token`` of the session, ``bundle`` and ``threshold`` in use, how many ``bundles`` there
            are, and the ``reader`` that this returned last.
    """
    found = _component("reading")(
        key="reading", data=data, default={"reader": data["reader"]}, on_reader_change=lambda: None
    )
    return None if found.reader is None else str(found.reader)
