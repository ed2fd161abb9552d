"""Read frames of a video through OpenCV, one after the other: a study of eight hours never lies in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from medanomaly.edge.result import Failure, Frame
from medanomaly.edge.video_container import held
from medanomaly.imaging.limits import MAX_PIXELS, ImageError
from medanomaly.imaging.path_kinds import no_file

#: What counts as a video, by suffix.
SUFFIXES = frozenset({".mp4", ".m4v", ".avi", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv", ".webm"})

_COPY = "Copy or export it again."

# FFmpeg writes its own complaints about broken files to stderr; ours name the file and the remedy. It asks but once,
# when the first video of the process is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

#: OpenCV's count of frames is often an estimate from length and rate: only where more than this share is lacking, and
#: more than two, does it count what the container lists. Where fewer are, the file must end early too. Of the frames
#: that it lists a few may refer to what was cut away before them.
_LACKING = 0.02
_LACKING_LISTED = 4


def address(path: str, number: int) -> str:
    """The name of a frame, counted from 1: ``study.mp4#frame=25``."""
    return f"{path}#frame={number}"


def frames(path: str, every: int = 1, skip: Callable[[str], bool] = lambda _: False) -> Iterator[Frame | Failure]:
    """Every Nth frame of a video, from the first on, in colour and upright.

    A frame that cannot be decoded is a :class:`Failure` of its own and the rest goes on. A video whose file ends early,
    or of which fewer frames can be decoded than its container lists, gets one where it ends.

    Args:
        path: The video.
        every: 1 for each frame, 25 for every 25th.
        skip: Asked with each frame's address; those it says True to are passed over without decoding.
    """
    if reason := no_file(path):
        if not skip(path):
            yield Failure(path, f"{path}: {reason}.")
        return
    capture = cv2.VideoCapture(path)
    try:
        if not capture.isOpened():
            if not skip(path):
                yield Failure(path, f"{path}: cannot be opened as a video. {_COPY}")
            return
        if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MAX_PIXELS:
            if not skip(path):
                yield Failure(path, f"{path}: its frames are over the limit of {MAX_PIXELS} pixels.")
            return
        number = 0
        while capture.grab():
            number += 1
            if (number - 1) % every:
                continue
            name = address(path, number)
            if skip(name):
                continue
            time = _seconds(capture, number)
            good, pixels = capture.retrieve()
            if good and pixels is not None and pixels.size:
                yield Frame(name, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), time)
            else:
                yield Failure(name, f"{name}: cannot be decoded. {_COPY}", time)
        declared = _number(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fault = _ends_early(path, number, declared)
        if fault:
            name = address(path, number + 1)
            if not skip(name):
                yield Failure(name, f"{name}: the video breaks off here, {fault}. {_COPY}")
    finally:
        capture.release()


def _ends_early(path: str, number: int, declared: float) -> str | None:
    """Why a video that gave this number of frames is not whole; None if it is, as far as can be told."""
    if number and declared and declared <= number:
        return None
    few = bool(number and declared) and declared - number <= max(_LACKING * declared, 2)
    cut, listed = held(path)
    if few and not cut:
        return None
    if cut or not number:
        return f"of {declared:.0f} declared frames" if declared else "before the end that its file declares"
    if listed is not None and listed - number > max(_LACKING * listed, _LACKING_LISTED):
        return f"of {listed} frames that its file lists"
    return None


def declared_frames(path: str) -> int:
    """How many frames a video declares; 0 where it tells none, or cannot be opened."""
    if no_file(path):
        return 0
    capture = cv2.VideoCapture(path)
    try:
        return int(_number(capture.get(cv2.CAP_PROP_FRAME_COUNT))) if capture.isOpened() else 0
    finally:
        capture.release()


def single(path: str, number: int) -> Frame | Failure:
    """One frame of a video, by its number from 1, with the name and time that :func:`frames` gives it."""
    name = address(path, number)
    try:
        pixels, time = _at(path, number)
    except ImageError as error:
        return Failure(name, str(error))
    return Frame(name, pixels, time)


def frame_at(path: str, number: int) -> np.ndarray:
    """One frame of a video, by its number from 1, as :func:`frames` gives it.

    The container's index is trusted where it says that it went to the right place; else frames are passed one by one.

    Returns:
        (H, W, 3) uint8, RGB, upright.

    Raises:
        ImageError: if the video has no such frame, or it cannot be decoded.
    """
    return _at(path, number)[0]


def _at(path: str, number: int) -> tuple[np.ndarray, float]:
    """Pixels and seconds of one frame."""
    if number < 1:
        raise ImageError(f"{address(path, number)}: is no frame. Frames count from 1.")
    if reason := no_file(path):
        raise ImageError(f"{path}: {reason}.")
    capture = cv2.VideoCapture(path)
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number - 1)
        if round(capture.get(cv2.CAP_PROP_POS_FRAMES)) != number - 1:
            capture.release()
            capture = cv2.VideoCapture(path)
            for _ in range(number - 1):
                capture.grab()
        good, pixels = capture.read()
        if not good or pixels is None or not pixels.size:
            raise ImageError(f"{address(path, number)}: cannot be decoded. {_COPY}")
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), _seconds(capture, number)
    finally:
        capture.release()


def _seconds(capture: cv2.VideoCapture, number: int) -> float:
    """Seconds into the video of the frame that was taken last."""
    time = _number(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
    rate = _number(capture.get(cv2.CAP_PROP_FPS))
    return (number - 1) / rate if not time and rate else time


def _number(value: float) -> float:
    """A property's value, 0 where the container tells none."""
    return value if math.isfinite(value) and 0 < value < 1e12 else 0.0
