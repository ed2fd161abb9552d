"""Small files with known pixels, to check that this installation decodes as the exporting one did.

A score of a drawn image says nothing of decoders, and they differ: OpenCV 4.10 takes the colours of a BT.709 video for
those of BT.601, 11 grey levels off. So a JPEG, a PNG of 16 bits and a video travel in the card, with what was read of
them.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medanomaly.edge import video
from medanomaly.edge.result import Frame
from medanomaly.imaging import ImageError, Preprocessing

#: A frame of H.264 in BT.709, 32×32, of four colours; made with ffmpeg 5.1 and libx264 (scale=out_color_matrix=bt709).
_CLIP = Path(__file__).with_name("bt709.mp4")
#: What is compared: each file read to this many pixels, as an image for a model is.
_READING = Preprocessing((8, 8))
#: Largest difference of a pixel, of 1. Decoders of JPEG differ by a grey level or two (0.004 each).
_TOLERANCE = 0.01


def record() -> list[dict[str, Any]]:
    """The card's entry: of each file its suffix, its content (base64), and what is read of it here."""
    row, column, channel = np.ogrid[:48, :64, :3]
    colours = (40 + 2 * row + column * (channel + 1) + 50 * channel) % 256
    smooth = cv2.GaussianBlur(colours.astype(np.uint8), (0, 0), 4)
    deep = smooth.astype(np.uint16) * 250
    files = {
        ".jpg": cv2.imencode(".jpg", smooth)[1].tobytes(),
        ".png": cv2.imencode(".png", cv2.resize(deep, (16, 12), interpolation=cv2.INTER_AREA))[1].tobytes(),
        _CLIP.suffix: _CLIP.read_bytes(),
    }
    kept = []
    for suffix, content in files.items():
        pixels = _pixels(suffix, content)
        if pixels is not None:
            read = [round(float(value), 4) for value in pixels.ravel()]
            kept.append({"suffix": suffix, "content": base64.b64encode(content).decode("ascii"), "read": read})
    return kept


def differing(kept: Iterable[dict[str, Any]]) -> str | None:
    """Which of the files is read otherwise here than the card says; None if none is.

    A video that no decoder here opens is passed over: each such video fails by name when it is scored.

    Raises:
        KeyError: or TypeError or ValueError, if the entry is damaged.
    """
    for entry in kept:
        suffix, content = str(entry["suffix"]), base64.b64decode(entry["content"], validate=True)
        expected = np.asarray(entry["read"], np.float32)
        try:
            pixels = _pixels(suffix, content)
        except ImageError as error:
            return f"a {suffix[1:]} file is not read ({error})"
        if pixels is None:
            continue
        off = float(np.abs(pixels.ravel() - expected).max())
        if not off <= _TOLERANCE:
            return f"pixels of a {suffix[1:]} file are off by {off:.3f} of 1 (tolerance {_TOLERANCE:g})"
    return None


def _pixels(suffix: str, content: bytes) -> np.ndarray | None:
    """(8, 8, 3) float32 in [0, 1]; None where nothing can be written, or for a video without decoder."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="medanomaly-")
    except OSError:
        return None
    with folder as name:
        path = Path(name) / f"self-test{suffix}"
        try:
            path.write_bytes(content)
        except OSError:  # a full disk
            return None
        if suffix not in video.SUFFIXES:
            return _READING.load(path)
        frame = next(video.frames(str(path)), None)
        return _READING.prepare(frame.pixels) if isinstance(frame, Frame) else None
