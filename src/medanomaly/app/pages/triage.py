"""The triage page: what Streamlit runs from top to bottom after every click."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from medanomaly.app.pages.components import reading
from medanomaly.app.pages.evidence_panel import show_evidence
from medanomaly.app.pages.sidebar import show_side
from medanomaly.app.session.page_state import Page

NOTICE = (
    "**Research use only. Not a medical device.** It marks what differs from its training images, for a person to look "
    "at; what it does not mark is not therefore healthy."
)
_STYLE = """<style>
[data-testid="stHeader"] { background: transparent; height: 3rem; }
[data-testid="stHeader"], [data-testid="stHeader"] * { pointer-events: none !important; }
[data-testid="stHeader"] button, [data-testid="stHeader"] button * { pointer-events: auto !important; }
@media (max-width: 1100px) { [data-testid="stSidebar"] { width: 15rem !important; min-width: 15rem !important; } }
[data-testid="stMainBlockContainer"] { padding: 0.6rem 1.25rem 1rem; }
[data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"] { gap: 0.6rem; }
[data-testid="stBottomBlockContainer"] { padding: 0.3rem 1.25rem; }
[data-testid="stSidebarHeader"] { height: 2.75rem; }
[data-testid="stMetricValue"] { font-size: 1.2rem; }
</style>"""
#: Streamlit would load an icon of its own from the internet.
_ICON = str(Path(__file__).parents[1] / "static" / "icon.svg")
_VIEWS = ("Images", "Evidence")


def main() -> None:
    """One run of the script."""
    st.set_page_config("medanomaly triage", _ICON, layout="wide", initial_sidebar_state="auto")
    st.html(_STYLE)
    page = Page.open()
    with st.sidebar:
        show_side(page)
    with st.bottom:
        st.caption(NOTICE)
    view = st.segmented_control("View", _VIEWS, default=_VIEWS[0], required=True, label_visibility="collapsed")
    if view == "Evidence":
        show_evidence(page)
        return
    show_reading(page)


def show_reading(page: Page) -> None:
    """Show list, picture, figures and marks: one part, in which the browser alone says what is shown."""
    state = page.state
    said = reading(
        {
            "token": page.session.token,
            "bundle": state.bundle,
            "threshold": state.threshold,
            "bundles": len(page.sessions.bundles),
            "files": len(page.session.files.accepted) + page.session.files.waiting,
            "reader": state.reader,
        }
    )
    if said != state.reader:
        state.reader = said
        st.rerun()  # the export is this reader's
