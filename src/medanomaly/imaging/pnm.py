"""Decode PBM, PGM and PPM (netpbm's P1 to P6); OpenCV scales some by their largest value and some not."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from medanomaly.imaging.file_header import HeaderError

_GAP = rb"(?:\s|#[^\n]*\n)+"


@dataclass(frozen=True)
class Pnm:
    """What the header declares.

    Args:
        kind: 1 to 6: bits, grey and colour, as text and then as bytes.
        width: Columns.
        height: Rows.
        white: The largest value; 1 for bits.
        start: Where the pixels begin.
    """

    kind: int
    width: int
    height: int
    white: int
    start: int

    @property
    def values(self) -> int:
        """Values of the whole picture."""
        return self.width * self.height * (3 if self.kind in (3, 6) else 1)


def is_pnm(content: bytes) -> bool:
    """Whether a file begins as one of them."""
    return re.match(rb"P[1-6]\s", content[:3]) is not None


def read_pnm_header(content: bytes) -> Pnm:
    """Read the header.

    Raises:
        HeaderError: if it is damaged, or the file is too short for its pixels.
    """
    kind = content[1] - ord("0")
    match = re.match(rb"P[1-6]" + (_GAP + rb"(\d{1,10})") * (2 if kind in (1, 4) else 3) + rb"\s", content[:65536])
    if not match:
        raise HeaderError("is truncated or its header is damaged")
    width, height, *rest = (int(number) for number in match.groups())
    white = rest[0] if rest else 1
    if not 0 < white < 65536:
        raise HeaderError(f"declares a largest value of {white}, which must lie in 1 to 65535")
    header = Pnm(kind, width, height, white, match.end())
    if match.end() + _least_bytes(header) > len(content):
        raise HeaderError("is truncated (its picture is longer than the file)")
    return header


def _least_bytes(header: Pnm) -> int:
    """Bytes of the pixels; of text, the fewest that can hold them."""
    if header.kind == 4:
        return (header.width + 7) // 8 * header.height
    if header.kind in (5, 6):
        return header.values * (1 if header.white < 256 else 2)
    return max(0, header.values if header.kind == 1 else 2 * header.values - 1)


def read_pnm(content: bytes, header: Pnm) -> np.ndarray:
    """The values as stored, bits as 0 (black) and 255.

    Returns:
        (H, W) or (H, W, 3), uint8 where ``white`` is below 256, else uint16; at most ``white``.

    Raises:
        HeaderError: if there are fewer, if a value is above ``white``, or if a second picture follows.
    """
    if header.kind <= 3:
        values, behind = _text(content[header.start :], header), b""
    else:
        end = header.start + _least_bytes(header)
        values, behind = _bytes(memoryview(content)[header.start : end], header), content[end : end + 64]
    if is_pnm(behind.lstrip()):
        raise HeaderError("holds several pictures, of which one would be read: save them one a file")
    shape = (header.height, header.width, 3) if header.kind in (3, 6) else (header.height, header.width)
    if header.kind in (1, 4):
        return np.where(values.reshape(shape) == 0, np.uint8(255), np.uint8(0))
    if values.max() > header.white:
        raise HeaderError(f"holds the value {values.max()}, above the largest that it declares, {header.white}")
    return values.reshape(shape).astype(np.uint8 if header.white < 256 else np.uint16, copy=False)


def _bytes(body: memoryview, header: Pnm) -> np.ndarray:
    if header.kind == 4:
        rows = np.frombuffer(body, np.uint8).reshape(header.height, -1)
        return np.unpackbits(rows, axis=1, count=header.width)
    return np.frombuffer(body, np.uint8 if header.white < 256 else ">u2")


def _text(body: bytes, header: Pnm) -> np.ndarray:
    body = re.sub(rb"#[^\n]*", b"", body).strip()
    if not re.fullmatch(rb"[\d\s]*", body):
        raise HeaderError("is damaged (between its numbers stands something else)")
    if header.kind == 1:  # digits need no space between them
        values = np.frombuffer(b"".join(body.split()), np.uint8)[: header.values] - ord("0")
        if values.size and values.max() > 1:
            raise HeaderError("is damaged (a bit is neither 0 nor 1)")
    else:
        # Without `count`: where the text ends sooner, numpy hands out memory that nobody filled.
        values = np.fromstring(body.decode("ascii"), np.int64, sep=" ") if body else np.empty(0, np.int64)
    if values.size < header.values:
        raise HeaderError(f"is truncated (it holds {values.size} of {header.values} values)")
    return values[: header.values]
