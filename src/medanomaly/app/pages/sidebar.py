"""Draw the sidebar: bundle, files, operating point, export."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from medanomaly.app.endpoints.upload_endpoint import PATH
from medanomaly.app.pages.components import drop
from medanomaly.app.pages.escape import plain
from medanomaly.app.pages.operating_point_panel import show_point
from medanomaly.app.session.mark_store import Marks, seen_by
from medanomaly.app.session.marking import reader_name
from medanomaly.app.session.marks_export import agreement_csv, as_csv, as_lines, records
from medanomaly.app.session.page_state import Page
from medanomaly.app.session.reader_pairs import agreements
from medanomaly.app.session.uploads import MIB


def show_side(page: Page) -> None:
    """Show the panel."""
    _bundle(page)
    _uploads(page)
    if page.session.files.accepted:
        st.divider()
        show_point(page)
        st.divider()
        _export(page)


def _bundle(page: Page) -> None:
    names = [loaded.name for loaded in page.sessions.bundles]
    if len(names) == 1:
        st.html(plain(names[0], strong=True))
        return
    number = st.selectbox("Bundle", range(len(names)), format_func=names.__getitem__, key="bundle")
    if number != page.state.bundle:
        page.state.bundle, page.state.threshold = number, None
        page.state.turns += 1
        st.rerun()


def _uploads(page: Page) -> None:
    limits = page.sessions.limits
    text = f"At most {limits.file_bytes // MIB} MiB a file. Kept until this page is closed."
    sent = drop({"token": page.session.token, "path": PATH, "limits": text})
    if sent is not None:
        page.session.files.expect(sent)
        st.rerun()  # with the clock that follows what comes in
    st.fragment(_refused, run_every=1.0 if page.worklist.busy else None)(page, bool(page.session.files.accepted))


def _refused(page: Page, begun: bool) -> None:
    """Say what was not taken in; the whole panel runs again when the first image is there, and at the end.

    Args:
        page: The page.
        begun: Whether an image was there when the panel ran.
    """
    busy = page.worklist.busy
    if bool(page.session.files.accepted) != begun or (st.session_state.get("busy", False) and not busy):
        st.session_state["busy"] = busy
        st.rerun()
    st.session_state["busy"] = busy
    if passed := page.session.files.passed_over:
        files = "1 file" if passed == 1 else f"{passed} files"
        st.html(plain(f"Passed over: {files} of the system, or hidden", small=True))
    refused = list(page.session.files.refused)
    if refused:
        files = "1 file was" if len(refused) == 1 else f"{len(refused)} files were"
        with st.expander(f"{files} not taken in", expanded=True, icon=":material/block:"):
            st.html("".join(plain(f"{one.name} {one.reason}", small=True) for one in refused[:-21:-1]))
            if len(refused) > 20:
                st.caption(f"and {len(refused) - 20} earlier ones")


def _export(page: Page) -> None:
    st.markdown("**Export** scores, marks and notes")
    # What this run shows is what is exported, whatever the page shows at the press.
    loaded, point, given = page.loaded, page.point, page.state.reader
    reader = None if given is None else reader_name(given)
    worklist = page.worklist

    def marks() -> Marks:
        return seen_by(page.sessions.marking.fresh(loaded.hash), reader)

    def found() -> list[dict]:
        return records(list(worklist.items), loaded, point, marks(), reader)

    with st.container(horizontal=True):
        _button("CSV", lambda: as_csv(found()), "triage.csv", "text/csv")
        _button("JSON Lines", lambda: as_lines(found()), "triage.jsonl", "application/x-ndjson")
        _button(
            "Kappa",
            lambda: agreement_csv(agreements(marks()), loaded, reader),
            "agreement.csv",
            "text/csv",
            "How far readers agree, on the images that you have marked too",
        )
    st.html(
        plain(
            f"Bundle {loaded.hash[:12]}… Reader: {'not known yet' if reader is None else reader or 'without a name'}. "
            f"Marks are kept in {page.sessions.store.path}",
            small=True,
        )
    )


def _button(label: str, content: Callable[[], bytes], name: str, kind: str, text: str | None = None) -> None:
    st.download_button(label, content, name, kind, help=text, on_click="ignore", icon=":material/download:")
