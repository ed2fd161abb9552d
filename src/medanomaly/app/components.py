"""The parts of the page that Streamlit has no element for: drop field, list, viewer and timeline."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_STATIC = Path(__file__).parent / "static"
_HTML = {"list": "<ol></ol>", "timeline": '<svg viewBox="0 0 1000 140" role="img"></svg>'}


@cache
def _component(name: str) -> Any:
    def text(suffix: str) -> str:
        return (_STATIC / f"{name}.{suffix}").read_text(encoding="utf-8")

    html = _HTML.get(name) or text("html")
    return st.components.v2.component(f"medanomaly.{name}", html=html, css=text("css"), js=text("js"))


def mount(name: str, key: str, data: dict[str, Any]) -> int | None:
    """Show a part; returns the number that was picked in it since the last run, or None.

    Args:
        name: ``drop``, ``list``, ``viewer`` or ``timeline``.
        key: Of this instance.
        data: Plain values; it sets them as text and attributes, never as HTML.
    """
    return _component(name)(key=key, data=data, on_pick_change=_nothing).pick


def _nothing() -> None:
    """Streamlit returns a trigger's value only where it has a callback."""
