"""State of one page between runs of its script."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from medanomaly.app.operating_curve import Curve, Point
from medanomaly.app.server import sessions
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.sessions import Session, Sessions
from medanomaly.app.session.worklist import Worklist

#: Where the page's address keeps which session is its own, so that it finds it when it is loaded again.
_TOKEN = "session"


@dataclass
class State:
    """Of one page. Which image is shown, the browser alone knows.

    Args:
        bundle: Number of the bundle in use.
        threshold: Of the ranking score; None for the bundle's own.
        reader: Who reads, as the reading part last said; None until someone has.
        turns: How often the slider was put anew where the point at work lies.
    """

    bundle: int = 0
    threshold: float | None = None
    reader: str | None = None
    turns: int = 0


@dataclass
class Page:
    """What a run of the script works with."""

    sessions: Sessions
    session: Session
    state: State

    @classmethod
    def open(cls) -> Page:
        """Of the session that asks."""
        session = _connected(st.query_params.get(_TOKEN))
        if st.query_params.get(_TOKEN) != session.token:
            st.query_params[_TOKEN] = session.token
        if "state" not in st.session_state:
            st.session_state["state"] = State()
        return cls(sessions(), session, st.session_state["state"])

    @property
    def loaded(self) -> LoadedBundle:
        """The bundle in use."""
        return self.sessions.bundles[self.state.bundle]

    @property
    def worklist(self) -> Worklist:
        """Of the bundle in use."""
        return self.session.worklist(self.state.bundle)

    @property
    def point(self) -> Point:
        """The operating point at work."""
        return Point.at(self.loaded.detector.decider, self.state.threshold)

    @property
    def curve(self) -> Curve | None:
        """What every threshold would cost; None if the bundle does not tell."""
        return self.loaded.curve if isinstance(self.loaded.curve, Curve) else None


def _disconnect(session: Session) -> None:
    sessions().disconnect(session)


@st.cache_resource(scope="session", show_spinner=False, on_release=_disconnect)
def _connected(_token: str | None) -> Session:
    session = sessions().connect(_token)
    session.files.expect(0)  # a page that was loaded again sends nothing any more
    return session
