"""Score the images of one session with one bundle in the background, and sort them by suspicion."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from medanomaly.app.session.session_files import Files
from medanomaly.app.session.uploads import Accepted, without_path
from medanomaly.edge import Detector, Failure, Frame, Result, video
from medanomaly.imaging import split_frame

#: How long the scoring waits for the next file before what is finished comes out.
_WAIT = 0.05


@dataclass(frozen=True)
class Item:
    """One image and what the model said of it.

    Args:
        number: Its place in the order of coming, from 0.
        name: The file's name, with ``#frame=N`` for one of several frames.
        address: What the detector reads; of a video's frame ``FILE#frame=N``.
        file: The file it is of.
        raw_score: Of the model; None if it could not be scored.
        parts: What the raw score is made of, by name.
        error: Why it could not be scored; empty if it was.
        frame: Of a video, its frame from 1.
        time: Of a video's frame, seconds into the video.
    """

    number: int
    name: str
    address: str
    file: Accepted
    raw_score: float | None
    parts: dict[str, float]
    error: str = ""
    frame: int | None = None
    time: float | None = None


class Worklist:
    """Scores a session's files in a thread, as they come.

    Args:
        detector: Of the bundle; shared with other sessions.
        files: Those of the session.
        every: Every Nth frame of a video is scored.
    """

    def __init__(self, detector: Detector, files: Files, every: int = 1) -> None:
        self.detector, self.files, self.every = detector, files, every
        self.items: list[Item] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next = 0
        self._frames = 0
        self._stopped = False

    def score(self) -> None:
        """Go on with what came since; returns at once."""
        with self._lock:
            running = self._thread is not None and self._thread.is_alive()
            if not running and not self._stopped and self.files.get(self._next, 0) is not False:
                self._thread = threading.Thread(target=self._run, name="medanomaly-worklist", daemon=True)
                self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether images are being taken in or scored."""
        running = self._thread is not None and self._thread.is_alive()
        return running or bool(self.files.waiting) or self._next < len(self.files.accepted)

    @property
    def progress(self) -> tuple[int, int]:
        """How many images were scored, and how many are known of so far."""
        accepted = self.files.accepted
        known = sum(len(one.addresses) for one in accepted) + self._frames + self.files.waiting
        known += sum(one.kind.group == "video" for one in accepted[self._next :])
        done = len(self.items)
        return done, max(known, done)

    def close(self) -> None:
        """End; returns when the images at work are done with."""
        with self._lock:
            self._stopped = True
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        names: deque[tuple[Accepted, str]] = deque()
        with closing(self.detector.stream_idle(self._source(names))) as outcomes:
            for outcome in outcomes:
                if self._stopped:
                    break
                if outcome is not None:
                    self.items.append(self._item(outcome, *names.popleft()))

    def _source(self, names: deque[tuple[Accepted, str]]) -> Iterator[str | Frame | Failure | None]:
        while not self._stopped:
            file = self.files.get(self._next, _WAIT)
            if file is False:
                return
            if not isinstance(file, Accepted):
                yield None
                continue
            self._next += 1
            for address in file.addresses:
                names.append((file, address))
                yield address
            if file.kind.group == "video":
                yield from self._video(file, names)

    def _video(self, file: Accepted, names: deque[tuple[Accepted, str]]) -> Iterator[Frame | Failure]:
        declared, came = -(-video.declared_frames(str(file.path)) // self.every), 0
        self._frames += declared
        for frame in video.frames(str(file.path), self.every):
            came += 1
            names.append((file, frame.input if isinstance(frame, Failure) else frame.name))
            yield frame
        self._frames += came - declared

    def _item(self, outcome: Result | Failure, file: Accepted, address: str) -> Item:
        _, frame = split_frame(address)
        name = file.name if frame is None else f"{file.name}#frame={frame}"
        common = (len(self.items), name, address, file)
        of_video = frame if file.kind.group == "video" else None
        if isinstance(outcome, Failure):
            error = without_path(outcome.error, file.path, file.name)
            return Item(*common, None, {}, error, of_video, outcome.time)
        if not outcome.finite:
            return Item(*common, None, {}, f"the model's score is {outcome.raw_score}.", of_video, outcome.time)
        return Item(*common, outcome.raw_score, outcome.parts, "", of_video, outcome.time)
