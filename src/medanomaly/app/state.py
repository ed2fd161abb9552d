"""What one page remembers between runs of its script."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from medanomaly.app.desk import Desk, Loaded, Room
from medanomaly.app.operating import Curve, Point
from medanomaly.app.rows import ALL, Row, chosen, rows
from medanomaly.app.server import room
from medanomaly.app.store import Key, Mark
from medanomaly.app.worklist import Item, Worklist

#: Where the page's address keeps which desk is its own, so that it finds it when it is loaded again.
_TOKEN = "desk"


@dataclass
class State:
    """Of one page.

    Args:
        bundle: Number of the bundle in use.
        threshold: Of the deciding score; None for the bundle's own.
        selected: Number of the chosen image; None until one is chosen.
        drawn: The chosen image that the viewer shows.
        which: The list's filter.
        page: Of the list, from 0.
        followed: Whether images were being scored when the list was last shown.
        begun: Whether it held any.
    """

    bundle: int = 0
    threshold: float | None = None
    selected: int | None = None
    drawn: int | None = None
    which: str = ALL
    page: int = 0
    followed: bool = False
    begun: bool = False


@dataclass
class Page:
    """What a run of the script works with."""

    room: Room
    desk: Desk
    state: State
    _marks: dict[str, dict[tuple[str, str], Mark]] = field(default_factory=dict)

    @classmethod
    def open(cls) -> Page:
        """Of the session that asks."""
        desk = _attached(st.query_params.get(_TOKEN))
        if st.query_params.get(_TOKEN) != desk.token:
            st.query_params[_TOKEN] = desk.token
        if "state" not in st.session_state:
            st.session_state["state"] = State()
        return cls(room(), desk, st.session_state["state"])

    @property
    def loaded(self) -> Loaded:
        """The bundle in use."""
        return self.room.bundles[self.state.bundle]

    @property
    def worklist(self) -> Worklist:
        """Of the bundle in use."""
        return self.desk.worklist(self.state.bundle)

    @property
    def point(self) -> Point:
        """The operating point at work."""
        return Point.at(self.loaded.detector.decider, self.state.threshold)

    @property
    def curve(self) -> Curve | None:
        """What every threshold would cost; None if the bundle does not tell."""
        return self.loaded.curve if isinstance(self.loaded.curve, Curve) else None

    def marks(self) -> dict[tuple[str, str], Mark]:
        """On the decisions of the bundle in use, read once a run."""
        if self.loaded.hash not in self._marks:
            self._marks[self.loaded.hash] = dict(self.room.store.of_bundle(self.loaded.hash))
        return self._marks[self.loaded.hash]

    def all_rows(self) -> list[Row]:
        """Of the worklist, as far as it is scored."""
        return rows(list(self.worklist.items), self.point, self.marks())

    def current(self, all_rows: list[Row]) -> tuple[Row, Item] | None:
        """The chosen row and image, or the first of the list while none is chosen."""
        if self.state.selected is not None:
            for row in all_rows:
                for item in row.frames or (row.item,):
                    if item.number == self.state.selected:
                        return row, item
        shown = chosen(all_rows, self.state.which)
        return (shown[0], shown[0].item) if shown else None

    def put(self, item: Item, mark: str | None, note: str) -> None:
        """Keep a mark and a note on an image under the bundle in use."""
        assert item.raw_score is not None
        point = self.point
        decision = "abnormal" if point.decider.abnormal(item.raw_score) else "normal"
        key = Key(self.loaded.hash, item.name, item.file.sha256)
        threshold = float(point.decider.threshold)
        self.room.store.put(key, Mark(mark, note, decision, item.raw_score, threshold))
        self._marks.clear()


def _leave(desk: Desk) -> None:
    room().leave(desk)


@st.cache_resource(scope="session", show_spinner=False, on_release=_leave)
def _attached(_token: str | None) -> Desk:
    desk = room().attach(_token)
    desk.files.expect(0)  # a page that was loaded again sends nothing any more
    return desk
