"""Decompress strips and tiles of a TIFF, each whole or not at all."""

from __future__ import annotations

import re
import struct
import sys
import zlib

import cv2
import numpy as np

from medanomaly.imaging.file_header import HeaderError, read_jpeg
from medanomaly.imaging.tiff_directory import TiffError
from medanomaly.imaging.tiff_layout import LZW, NONE, PACKBITS

#: The most bytes that one byte may become, somewhat rounded up: no memory is asked for that a file cannot fill.
_MOST = {NONE: 1, PACKBITS: 64, LZW: 1400}
_MOST_DEFLATE = 1040

#: What yields one zero of PackBits, and seven of LZW: the code that clears the table (256) and seven zeros, of 9 bits.
_FILLERS = {PACKBITS: (b"\0\0", 1), LZW: ((256 << 63).to_bytes(9, "big"), 7)}
#: What may follow within a stream of several scans: tables, the height, restarts, a comment and a further scan.
_BETWEEN_SCANS = (0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE)
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)

#: Width of the image of 16 bits that OpenCV is shown, and bytes of a row of it.
_SHOWN, _SHOWN_BYTES = 1024, 2048


def expand(raw: bytes, size: int, compression: int) -> bytes | memoryview:
    """Decompress a strip or tile to exactly ``size`` bytes.

    Args:
        raw: Its bytes as stored, none of them reversed.
        size: How many bytes its pixels take.
        compression: None, LZW, PackBits or deflate.

    Raises:
        TiffError: if it is damaged or holds less.
    """
    if size > _MOST.get(compression, _MOST_DEFLATE) * len(raw):
        raise TiffError(f"is damaged ({len(raw)} bytes cannot hold {size})")
    if compression == NONE:
        return raw[:size]
    return _by_libtiff(raw, size, compression) if compression in _FILLERS else _inflated(raw, size)


def most_bytes(size: int) -> int:
    """How many compressed bytes are worth reading for ``size``: no compression here makes more of them."""
    return 4 * size + 65536


def _inflated(raw: bytes, size: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(raw, size)
        # The checksum stands at the end; some writers fill the last strip up to the height of the others.
        beyond = 0
        while not inflate.eof and beyond <= 64 * size + 65536:
            more = inflate.decompress(inflate.unconsumed_tail, 2**20)
            beyond += len(more)
            if not more and not inflate.unconsumed_tail:
                break
    except zlib.error as error:
        raise TiffError(f"is damaged (deflate: {error})") from None
    if len(data) < size or not inflate.eof:
        raise TiffError("is damaged (a strip or tile of deflate ends early)")
    return data


def _by_libtiff(raw: bytes, size: int, compression: int) -> memoryview:
    """Show OpenCV the strip as an image of 16 bits, whose rows hold a fixed number of its bytes.

    libtiff knows nothing of what they mean. Of 16 bits OpenCV takes what is whole or nothing, and in the byte order of
    this machine nothing is turned. The rows come out even, because what yields zeros is put in front.
    """
    if compression == LZW and not (raw[0] == 0x80 and len(raw) > 1 and raw[1] < 0x80):
        old = raw[0] == 0 and raw[1:2] and raw[1] & 1
        fault = "has LZW of the old kind, which is not read" if old else "is damaged (a strip or tile is no LZW)"
        raise TiffError(fault, "Save it again with LZW or deflate." if old else "Copy or export it again.")
    filler, zeros = _FILLERS[compression]
    times = -size * pow(zeros, -1, _SHOWN_BYTES) % _SHOWN_BYTES
    height = (size + zeros * times) // _SHOWN_BYTES
    stored = filler * times + raw
    entries = [(256, _SHOWN), (257, height), (258, 16), (259, compression), (262, 1), (273, 0), (277, 1), (278, height)]
    head = 8 + 2 + 12 * (len(entries) + 1) + 4
    block = b"".join(struct.pack("=HHII", tag, 4, 1, head if tag == 273 else value) for tag, value in entries)
    block += struct.pack("=HHII", 279, 4, 1, len(stored))
    order = b"II" if sys.byteorder == "little" else b"MM"
    file = order + struct.pack("=HIH", 42, 8, len(entries) + 1) + block + bytes(4) + stored
    try:
        shown = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        shown = None
    if shown is None or shown.dtype != np.uint16 or shown.shape != (height, _SHOWN):
        raise TiffError("is damaged (a strip or tile of LZW or PackBits breaks off)")
    return shown.reshape(-1).view(np.uint8).data[zeros * times :]


def jpeg(raw: bytes, tables: bytes, shape: tuple[int, int], samples: int, transformed: bool) -> np.ndarray:
    """Decode a strip or tile in JPEG (technical note 2).

    Args:
        raw: Its bytes as stored.
        tables: Those that it shares with the others, or nothing.
        shape: Height and width of the strip or tile.
        samples: 1 or 3.
        transformed: Whether three samples are YCbCr in the stream; they come out as RGB.

    Returns:
        (H, W, samples) uint8.

    Raises:
        TiffError: if it is damaged or has another size.
    """
    stream, scan = _joined(raw, tables, transformed)
    try:
        header = read_jpeg(stream)
        _check_scans(stream, scan)
    except (HeaderError, struct.error, IndexError) as error:
        raise TiffError(f"is damaged (a strip or tile in JPEG {error})") from None
    if header.channels != samples or header.width < shape[1] or header.height < shape[0]:
        raise TiffError(
            f"is damaged (a strip or tile in JPEG has {header.width}×{header.height} pixels of {header.channels} "
            f"samples, not {shape[1]}×{shape[0]} of {samples})"
        )
    if header.width > shape[1] + 64 or header.height > shape[0] + 2**16 or header.height * header.width > 10**8:
        raise TiffError("is damaged (a strip or tile in JPEG is larger than the page)")
    try:
        flags = cv2.IMREAD_GRAYSCALE if samples == 1 else cv2.IMREAD_COLOR
        image = cv2.imdecode(np.frombuffer(stream, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise TiffError("is damaged (a strip or tile in JPEG cannot be decoded)")
    image = image[: shape[0], : shape[1]]
    return image[:, :, None] if samples == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _joined(raw: bytes, tables: bytes, transformed: bool) -> tuple[bytes, int]:
    """One stream that says, as Adobe does, what its samples are, and where its scan starts.

    What would say otherwise, or turn it, is left out.
    """
    if not raw.startswith(b"\xff\xd8"):
        raise TiffError("is damaged (a strip or tile is no JPEG)")
    adobe = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, int(transformed))
    kept, place = [b"\xff\xd8", adobe], 2
    if tables.startswith(b"\xff\xd8"):
        kept.append(tables[2:-2] if tables.endswith(b"\xff\xd9") else tables[2:])
    while place + 4 <= len(raw) and raw[place] == 0xFF and raw[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", raw, place + 2)
        if not 0xE0 <= raw[place + 1] <= 0xEF:
            kept.append(raw[place : place + 2 + length])
        place += 2 + length
    head = b"".join(kept)
    return head + raw[place:], len(head)


def _check_scans(stream: bytes, place: int) -> None:
    """Look for markers that no scan holds: libjpeg fills what it cannot decode with grey, and OpenCV says nothing."""
    restart = 0
    while place + 4 <= len(stream):
        marker = stream[place + 1]
        if marker == 0xD9:
            return
        if 0xD0 <= marker <= 0xD7:
            if marker != 0xD0 + restart:
                raise HeaderError("is damaged (part of it is missing)")
            restart = (restart + 1) % 8
            place += 2
        elif marker in _BETWEEN_SCANS:
            restart = 0 if marker == 0xDA else restart
            place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
        else:
            raise HeaderError(f"is damaged (it holds the marker {marker:02X})")
        found = _MARKER.search(stream, place)
        if found is None:
            return
        place = found.end() - 2
