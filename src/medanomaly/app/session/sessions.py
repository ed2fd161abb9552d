"""Open sessions of the server, each with its folder, and the bundles and marks that they share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path

from medanomaly.app.session.background_work import Work
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import Store
from medanomaly.app.session.marking import Marking
from medanomaly.app.session.session_files import Files
from medanomaly.app.session.uploads import Limits
from medanomaly.app.session.worklist import Worklist
from medanomaly.app.viewer.scored_view import ScoredViews

_PREFIX = "medanomaly-app-"
_LOCK = "in-use"


class Session:
    """One session: its folder, its files, and a worklist for each bundle that was asked for.

    Args:
        sessions: All of the server's.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.token = secrets.token_urlsafe(24)
        self.folder = Path(tempfile.mkdtemp(prefix="session-", dir=sessions.folder))
        self.files = Files(self.folder, sessions.limits)
        self.connected = 0
        self.left = 0.0
        self.sessions = sessions
        self._lock = threading.Lock()
        self._worklists: dict[int, Worklist] = {}

    def worklist(self, bundle: int) -> Worklist:
        """That of a bundle, by its number; scoring goes on with what came since."""
        with self._lock:
            if bundle not in self._worklists:
                detector = self.sessions.bundles[bundle].detector
                self._worklists[bundle] = Worklist(detector, self.files, self.sessions.every)
            worklist = self._worklists[bundle]
        worklist.score()
        return worklist

    def close(self) -> None:
        """End the work and remove the folder."""
        self.files.close()
        for worklist in self._worklists.values():
            worklist.close()
        self.sessions.views.forget(str(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All that pages share; one for the process.

    Args:
        bundles: Those that were opened, in the order they were named.
        store: Marks and notes.
        limits: What a session takes in at most.
        every: Every Nth frame of a video is scored.
        grace: Seconds that a session is kept for after its last page has gone, so that a page can be loaded again.
        temporary: Where session folders are made; None for the system's folder.
    """

    def __init__(
        self,
        bundles: list[LoadedBundle],
        store: Store,
        limits: Limits | None = None,
        every: int = 1,
        grace: float = 120,
        temporary: Path | None = None,
    ) -> None:
        self.bundles, self.store, self.limits, self.every = bundles, store, limits or Limits(), every
        self.grace = grace
        self.marking, self.views, self.work = Marking(store), ScoredViews(), Work()
        base = temporary or Path(tempfile.gettempdir())
        sweep(base)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self._held = (self.folder / _LOCK).open("wb")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def connect(self, token: str | None) -> Session:
        """The session of a page that was loaded again, or a new one; for each there is a :meth:`disconnect`."""
        with self._lock:
            session = self._sessions.get(token or "")
            if session is None:
                session = Session(self)
                self._sessions[session.token] = session
            session.connected += 1
            return session

    def find(self, token: str) -> Session | None:
        """The session of a secret, if it is there."""
        with self._lock:
            return self._sessions.get(token)

    def disconnect(self, session: Session) -> None:
        """A page is gone; some time after the last one its session is cleared, its folder removed."""
        with self._lock:
            session.connected -= 1
            if session.connected:
                return
            session.left = time.monotonic()
        timer = threading.Timer(self.grace, self._clear, [session])
        timer.daemon = True
        timer.start()

    def _clear(self, session: Session) -> None:
        with self._lock:
            # Who came back and left again has a later timer.
            if (
                session.connected
                or time.monotonic() - session.left < self.grace
                or self._sessions.pop(session.token, None) is None
            ):
                return
        session.close()

    def close(self) -> None:
        """Clear all sessions and remove everything that was uploaded."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        self.work.close()
        for session in sessions:
            session.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._held.close()


def sweep(base: Path) -> None:
    """Remove what servers left that were killed: folders of ours that no process holds."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
