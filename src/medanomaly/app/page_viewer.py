"""The viewer's part of the page: the chosen image with its layers, what the model says of it, mark and note."""

from __future__ import annotations

from typing import Any

import streamlit as st

from medanomaly.app.components import mount
from medanomaly.app.looks import Look, payload
from medanomaly.app.page_more import show_more
from medanomaly.app.page_scores import show_scores
from medanomaly.app.page_video import show_video
from medanomaly.app.page_window import chosen_window
from medanomaly.app.state import Page
from medanomaly.app.store import MARKS
from medanomaly.app.wording import escaped
from medanomaly.app.worklist import Item
from medanomaly.imaging import ImageError

_SHORTCUTS = {"agree": "A", "disagree": "D", "unsure": "U"}
_ICONS = {"agree": ":material/check:", "disagree": ":material/close:", "unsure": ":material/question_mark:"}


def show_viewer(page: Page) -> None:
    """Show the chosen image; nothing before there is one."""
    current = page.current(page.all_rows())
    if current is None:
        return
    row, item = current
    if item.raw_score is None:
        st.markdown(f"**{escaped(item.name)}**")
        st.error(escaped(f"{item.name} {item.error}"), icon=":material/broken_image:")
        return
    _heading(page, item)
    if row.frames:
        show_video(page, row, item)
    try:
        look = _kept("look", (page.loaded.hash, item.address), lambda: Look.at(page.loaded.detector, item))
        window = chosen_window(item)
        key = (page.loaded.hash, item.address, window)
        mount("viewer", "viewer", _kept("payload", key, lambda: payload(item, look, window)))
    except ImageError as error:
        st.error(escaped(str(error).replace(str(item.file.path), item.name)), icon=":material/broken_image:")
        return
    if not look.again:
        st.warning("This frame was not found again exactly, as the video's index is inexact: the picture may be of a "
                   "neighbouring frame.")  # fmt: skip
    _marks(page, item)
    show_scores(page, item, look)
    show_more(page, item, look)


def _kept(name: str, key: Any, make: Any) -> Any:
    """What was made for the last run, if it is of the same key: a click on a mark draws nothing anew."""
    kept = st.session_state.get(f"kept-{name}")
    if kept is None or kept[0] != key:
        kept = (key, make())
        st.session_state[f"kept-{name}"] = kept
    return kept[1]


def _heading(page: Page, item: Item) -> None:
    abnormal = bool(page.point.decider.abnormal(item.raw_score))
    score = float(page.point.decider.score(item.raw_score))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{escaped(item.name)}**", width="content")
        if abnormal:
            st.badge(f"abnormal · {score:.3f}", icon=":material/warning:", color="orange")
        else:
            st.badge(f"normal · {score:.3f}", color="gray")
        if page.point.moved:
            st.badge("not the validated point", color="yellow")


def _marks(page: Page, item: Item) -> None:
    known = page.marks().get((item.name, item.file.sha256))
    mark, note = (known.mark, known.note) if known else (None, "")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for name in MARKS:
            # The image's own button: a press counts for the image it was made on, even when the next is on its way.
            st.button(
                name.capitalize(),
                key=f"mark-{name}-{page.loaded.hash[:8]}-{item.number}",
                icon=_ICONS[name],
                shortcut=_SHORTCUTS[name],
                type="primary" if mark == name else "secondary",
                wrap=False,
                on_click=_marked,
                args=(page, item, name),
            )
        key = f"note-{page.loaded.hash[:8]}-{item.file.sha256[:16]}-{item.number}"
        st.text_input(
            "Note",
            note,
            key=key,
            placeholder="Note",
            label_visibility="collapsed",
            max_chars=2000,
            on_change=_noted,
            args=(page, item, key),
        )


def _marked(page: Page, item: Item, name: str) -> None:
    known = page.marks().get((item.name, item.file.sha256))
    mark, note = (known.mark, known.note) if known else (None, "")
    page.put(item, None if mark == name else name, note)


def _noted(page: Page, item: Item, key: str) -> None:
    known = page.marks().get((item.name, item.file.sha256))
    page.put(item, known.mark if known else None, st.session_state[key] or "")
