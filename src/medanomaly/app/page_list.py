"""The worklist's part of the page: progress, filter, rows, next and previous."""

from __future__ import annotations

import base64

import streamlit as st

from medanomaly.app.components import mount
from medanomaly.app.rows import ALL, FILTERS, Row, chosen, counts
from medanomaly.app.state import Page

#: Rows are shown so many at a time: a long list stays quick.
ROWS = 50
MARKS = {"agree": "✓ agree", "disagree": "✗ disagree", "unsure": "? unsure"}


def show_list(page: Page) -> None:
    """Show the list; runs by itself every second while images are being scored."""
    state, all_rows = page.state, page.all_rows()
    busy = _follow(page, bool(all_rows))
    if not all_rows:
        if not busy:
            st.info("Drop images in the panel on the left. They are scored here, in order of suspicion.")
        return
    number = counts(all_rows)
    which = st.segmented_control(
        "Show",
        [name for name in FILTERS if number[name] or name in (ALL, state.which)],
        default=state.which,
        required=True,
        format_func=lambda name: f"{name} {number[name]}",
        key="which",
        label_visibility="collapsed",
    )
    if which != state.which:
        state.which, state.page = which, 0
        st.rerun()
    shown = chosen(all_rows, which)
    selected = _selected(page, all_rows, shown)
    numbers = [row.item.number for row in shown]
    _steps(page, numbers, selected)
    if not shown:
        st.caption("No image passes this filter.")
        return
    pages = -(-len(shown) // ROWS)
    state.page = min(state.page, pages - 1)
    part = shown[state.page * ROWS : (state.page + 1) * ROWS]
    lines = [_line(page, row) for row in part]
    data = {"rows": lines, "selected": selected, "order": numbers}
    mount("list", "list", data, on_pick=lambda number: _pick(page, numbers, number))
    if pages > 1:
        _pages(page, pages, len(shown))
    if state.selected != state.drawn:
        st.rerun()


def _follow(page: Page, begun: bool) -> bool:
    """Show how far the scoring is; the whole page runs again when the first image is there, and at the end.

    Args:
        page: The page.
        begun: Whether an image is there.

    Returns:
        Whether images are being scored.
    """
    worklist, state = page.worklist, page.state
    busy = worklist.busy
    # At the end without the clock, and with the viewer on the first of all.
    ended, first = state.followed and not busy, begun and not state.begun
    state.followed, state.begun = busy, begun
    if busy:
        done, known = worklist.progress
        st.progress(done / known if known else 0.0, f"{done} of {known} scored")
    if ended or first:
        st.rerun()
    return busy


def _selected(page: Page, all_rows: list[Row], shown: list[Row]) -> int | None:
    """The number by which the list knows the chosen row: that of a video's most suspicious frame."""
    current = page.current(all_rows)
    return current[0].item.number if current and current[0] in shown else None


def _steps(page: Page, numbers: list[int], selected: int | None) -> None:
    place = numbers.index(selected) if selected in numbers else -1
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for label, at, by in (("Previous :gray[K]", place <= 0, -1), ("Next :gray[J]", place + 1 >= len(numbers), 1)):
            target = numbers[min(max(place + by, 0), len(numbers) - 1)] if numbers else 0
            st.button(label, disabled=at, wrap=False, on_click=_pick, args=(page, numbers, target))


def _pick(page: Page, numbers: list[int], number: int) -> None:
    """Choose an image before the script runs, so that no press is lost to the next one; the list turns to its page."""
    page.state.selected = number
    if number in numbers:
        page.state.page = numbers.index(number) // ROWS


def _pages(page: Page, pages: int, total: int) -> None:
    state = page.state
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        earlier = st.button("Earlier", help="More suspicious", key="earlier", disabled=state.page == 0)
        first = state.page * ROWS + 1
        st.caption(f"{first}–{min(first + ROWS - 1, total)} of {total}", width="content")
        later = st.button("Later", help="Less suspicious", key="later", disabled=state.page + 1 == pages)
    if earlier or later:
        state.page += 1 if later else -1
        st.rerun(scope="fragment")


def _line(page: Page, row: Row) -> dict[str, object]:
    thumb = page.desk.thumbnail(row.item) if row.score is not None else None
    mark = MARKS.get((row.mark.mark if row.mark else None) or "", "note" if row.mark else "")
    if row.score is None:
        said = "unreadable"
    elif row.frames:
        said = f"▶ {row.flagged} of {len(row.frames)} frames flagged"
    else:
        said = f"{'▲ ' if row.abnormal else ''}{row.score:.3f} {'abnormal' if row.abnormal else 'normal'}"
    return {
        "id": row.item.number,
        "name": row.name,
        "said": said,
        "mark": mark,
        "title": row.item.error or row.name,
        "decision": "failed" if row.score is None else "abnormal" if row.abnormal else "normal",
        "thumb": f"data:image/jpeg;base64,{base64.b64encode(thumb).decode()}" if thumb else "",
    }
