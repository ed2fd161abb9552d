"""The panel at the side: bundle, files, operating point, export."""

from __future__ import annotations

import streamlit as st

from medanomaly.app.components import mount
from medanomaly.app.feedback import as_csv, as_lines, records
from medanomaly.app.page_point import show_point
from medanomaly.app.receive import PATH
from medanomaly.app.state import Page
from medanomaly.app.uploads import MIB
from medanomaly.app.wording import escaped


def show_side(page: Page) -> None:
    """Show the panel."""
    _bundle(page)
    _uploads(page)
    if page.desk.files.accepted:
        st.divider()
        show_point(page)
        st.divider()
        _export(page)


def _bundle(page: Page) -> None:
    names = [loaded.name for loaded in page.room.bundles]
    if len(names) == 1:
        st.markdown(f"**{escaped(names[0])}**")
        return
    number = st.selectbox("Bundle", range(len(names)), format_func=names.__getitem__, index=page.state.bundle)
    if number != page.state.bundle:
        page.state.bundle, page.state.threshold = number, None
        st.rerun()


def _uploads(page: Page) -> None:
    limits = page.room.limits
    text = f"At most {limits.file_bytes // MIB} MiB a file. Kept until this page is closed."
    sent = mount("drop", "drop", {"token": page.desk.token, "path": PATH, "limits": text})
    if sent is not None:
        page.desk.files.expect(sent)
        st.rerun()  # with the clock that follows the scoring
    if passed := page.desk.files.passed_over:
        st.caption(f"Passed over: {passed} {'file' if passed == 1 else 'files'} of the system, or hidden")
    refused = page.desk.files.refused
    if refused:
        files = "1 file was" if len(refused) == 1 else f"{len(refused)} files were"
        with st.expander(f"{files} not taken in", expanded=True, icon=":material/block:"):
            for one in refused[:-21:-1]:
                st.caption(f"**{escaped(one.name)}** {escaped(one.reason)}")
            if len(refused) > 20:
                st.caption(f"and {len(refused) - 20} earlier ones")


def _export(page: Page) -> None:
    st.markdown("**Export** scores, marks and notes")

    def found() -> list[dict]:
        return records(list(page.worklist.items), page.loaded, page.point, page.marks())

    with st.container(horizontal=True):
        st.download_button(
            "CSV", lambda: as_csv(found()), "triage.csv", "text/csv", on_click="ignore", icon=":material/download:"
        )
        st.download_button(
            "JSON Lines",
            lambda: as_lines(found()),
            "triage.jsonl",
            "application/x-ndjson",
            on_click="ignore",
            icon=":material/download:",
        )
    st.caption(f"Bundle {page.loaded.hash[:12]}… Marks are kept in {escaped(str(page.room.store.path))}")
