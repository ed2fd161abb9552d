"""Drawn TIFF files, and ways to damage them where it matters."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

SHAPE = (51, 67)  # odd, so that strips and tiles are cut at the edges
_NOISE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
GREY = cv2.normalize(cv2.GaussianBlur(_NOISE, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
COLOUR = np.dstack([GREY, 255 - GREY, GREY // 2 + 30]).astype(np.uint8)
ALPHA = cv2.GaussianBlur(_NOISE, (0, 0), 1)

#: Picture of 0 to 255 to one of another type, over its whole range.
AS = {
    "uint8": lambda a: a,
    "uint16": lambda a: (a.astype(np.uint16) * 257 - (a > 100)).astype(np.uint16),
    "int8": lambda a: (a.astype(np.int16) - 128).astype(np.int8),
    "int16": lambda a: (a.astype(np.int32) * 257 - 32768).astype(np.int16),
    "float32": lambda a: a / np.float32(255),
}


def write(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Write with tifffile; grey and RGB are what their shape says unless told otherwise."""
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    tifffile.imwrite(path, pixels, **options)
    return path


def damage(path: Path, strip: int, at: int = 2, number: int = 20, by: bytes = b"\xff") -> Path:
    """Overwrite bytes within one strip or tile, from ``at`` on, which counts from its end if it is below 0."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        place = page.dataoffsets[strip] + at + (page.databytecounts[strip] if at < 0 else 0)
    data = bytearray(path.read_bytes())
    data[place : place + number] = by * number
    path.write_bytes(data)
    return path


def retag(path: Path, tag: int, value: int, page: int = 0) -> Path:
    """Put another single number into a tag of a page."""
    with tifffile.TiffFile(path) as file:
        entry, order = file.pages[page].tags[tag], file.byteorder
        place, kind = entry.offset + 8, entry.dtype
    data = bytearray(path.read_bytes())
    struct.pack_into(order + ("H" if kind == 3 else "I"), data, place, value)
    path.write_bytes(data)
    return path


def by_hand(path: Path, body: bytes, shape: tuple[int, ...], bits: int = 8, **more: int) -> Path:
    """Write what no library writes: one strip with the tags of a plain file, and others as ``t266=2``.

    Args:
        path: The file.
        body: The strip as stored.
        shape: (H, W) or (H, W, samples) that is declared.
        bits: Of a sample.
        more: Tags of one number, each as t and its number; they come before the plain ones of the same number.
    """
    height, width, samples = (*shape, 1)[:3]
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 2 if samples > 2 else 1, 273: 8, 277: samples, 278: height}
    tags |= {279: len(body)} | {int(tag[1:]): value for tag, value in more.items()}
    block = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    even = body + bytes(len(body) % 2)
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8 + len(even)) + even + struct.pack("<H", len(tags)) + block + bytes(4)
    )
    return path
