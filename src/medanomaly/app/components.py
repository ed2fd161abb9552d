"""The parts of the page that Streamlit has no element for: drop field, list, viewer and timeline."""

from __future__ import annotations

from collections.abc import Callable
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


def mount(name: str, key: str, data: dict[str, Any], on_pick: Callable[[int], None] | None = None) -> int | None:
    """Show a part; returns the number that was picked in it since the last run, or None.

    Args:
        name: ``drop``, ``list``, ``viewer`` or ``timeline``.
        key: Of this instance.
        data: Plain values; it sets them as text and attributes, never as HTML.
        on_pick: Called with the number before the script runs, so that none is lost where runs follow each other fast.
    """

    def picked() -> None:
        # Streamlit returns a trigger's value only where it has a callback.
        number = st.session_state[key].pick
        if on_pick is not None and number is not None:
            on_pick(number)

    return _component(name)(key=key, data=data, on_pick_change=picked).pick
