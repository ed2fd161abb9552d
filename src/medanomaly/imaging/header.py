"""What an image file declares, read from its bytes before any decoder allocates a pixel.

Each parser knows as much of its format as is needed to refuse what decoders would take without a word: a declared
size beyond all limits, a file that ends early, a PNG whose checksums do not match.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from medanomaly.imaging.tiff import TiffError, read_pages, read_tags


class HeaderError(ValueError):
    """A header that is damaged or declares what is not there. Says what is wrong, without the file's name."""


@dataclass(frozen=True)
class Header:
    """What a file declares.

    Args:
        kind: ``png``, ``jpeg``, ``tiff``, ``bmp`` or ``pnm``.
        width: Columns as stored.
        height: Rows as stored.
        channels: Samples a pixel.
        orientation: EXIF orientation, 1 to 8; 5 to 8 exchange width and height.
        white: Largest value where the file names it (PNM), else None.
        inverted: Whether low values are bright and the decoder leaves them so (TIFF of 16 bits).
        pages: Places of the full pages within a TIFF; one entry for all else.
    """

    kind: str
    width: int
    height: int
    channels: int = 3
    orientation: int = 1
    white: int | None = None
    inverted: bool = False
    pages: tuple[int, ...] = (0,)

    @property
    def grey(self) -> bool:
        """Whether every decoder makes one channel of it; of a TIFF, one sample may be a palette's."""
        return self.channels == 1 and self.kind in ("png", "jpeg", "pnm")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(data: np.ndarray, page: int = 0) -> Header | None:
    """Recognise a file by its first bytes and read what it declares; None if it is no known image.

    Args:
        data: The whole file, uint8.
        page: Which full page of a TIFF to describe, from 0.

    Raises:
        HeaderError: if the header is damaged, or the file ends before its picture does.
    """
    content = data.tobytes()
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(content)
        if content.startswith(b"\xff\xd8\xff"):
            return read_jpeg(content)
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(content, page)
        if content.startswith(b"BM"):
            return _bmp(content)
        if re.match(rb"P[1-6]\s", content):
            return _pnm(content)
    except (struct.error, IndexError, TiffError) as error:
        raise HeaderError(f"is truncated or its header is damaged ({error})") from error
    return None


def _png(content: bytes) -> Header:
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise HeaderError("is truncated (its header is missing)")
    width, height = struct.unpack(">II", content[16:24])
    place = 8
    # libpng reads past a broken checksum of picture data here and there, and OpenCV says nothing.
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        name, end = content[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(content):
            break
        critical = not name[0] & 0x20
        if critical and zlib.crc32(content[place + 4 : end]) != struct.unpack(">I", content[end : end + 4])[0]:
            raise HeaderError(f"is damaged (the checksum of its {name.decode('ascii', 'replace')} part does not match)")
        if name == b"IEND":
            return Header("png", width, height, 1 if content[25] == 0 else 3)
        place = end + 4
    raise HeaderError("is truncated (its end marker is missing)")


def read_jpeg(content: bytes) -> Header:
    """Size, channels and orientation of a JPEG, JPEG-LS or lossless JPEG stream, which must hold its end marker.

    Raises:
        HeaderError: if there is no frame header, or the file ends before its picture does.
    """
    place, orientation, found, huffman = 2, 1, None, False
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            raise HeaderError("is damaged (a marker of the JPEG is missing)")
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            place += 2
            continue
        (length,) = struct.unpack(">H", content[place + 2 : place + 4])
        body = content[place + 4 : place + 2 + length]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            _, height, width, channels = struct.unpack(">BHHB", body[:6])
            if found and found != (width, height, channels):
                raise HeaderError("declares two sizes")
            found = (width, height, channels)
            huffman = marker in (0xC0, 0xC1, 0xC2)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
        elif marker == 0xDA:
            break
        place += 2 + length
    if not found:
        raise HeaderError("is truncated (its frame header is missing)")
    # libjpeg fills the missing part of a truncated picture with grey and says nothing. A thumbnail in the header has
    # an end marker of its own: look behind the start of the scan.
    if content.rfind(b"\xff\xd9") < place:
        raise HeaderError("is truncated (its end marker is missing)")
    width, height, channels = found
    # A Huffman code spends at least one bit on each block of 8×8: what is not there would be filled with grey.
    if huffman and (len(content) - place) * 8 < width * height // 64:
        raise HeaderError(f"declares {width}×{height} pixels in {len(content)} bytes, too few to hold them")
    return Header("jpeg", width, height, channels, orientation)


def _orientation(exif: bytes) -> int:
    try:
        tags, _ = read_tags(exif, *_first_directory(exif))
    except (struct.error, TiffError):
        return 1  # decoders ignore a damaged EXIF block too
    value = tags.get(274, (1,))[0]
    return value if 1 <= value <= 8 else 1


def _first_directory(content: bytes) -> tuple[int, str]:
    order = "<" if content[:2] == b"II" else ">"
    return struct.unpack(order + "I", content[4:8])[0], order


def _tiff(content: bytes, page: int) -> Header:
    pages = read_pages(content)
    full = [place for place, tags in enumerate(pages) if not tags.get(254, (0,))[0] & 0b101] or [0]
    tags = pages[full[min(page, len(full) - 1)]]

    def one(tag: int, default: int) -> int:
        return tags.get(tag, (default,))[0]

    width, height, channels = one(256, 0), one(257, 0), one(277, 1)
    tile = (one(322, 0), one(323, 0))
    if channels > 4 or max(tile) > 2 * max(width, height, 1) + 4096:
        raise HeaderError(f"declares {channels} channels in tiles of {tile[0]}×{tile[1]}: more than can be read")
    for starts, lengths in ((273, 279), (324, 325)):
        if starts not in tags:
            continue
        ends = [start + length for start, length in zip(tags[starts], tags.get(lengths, ()), strict=False)]
        if not ends or max(ends) > len(content):
            raise HeaderError("is truncated (part of its picture lies beyond the end of the file)")
    bits = max(tags.get(258, (1,)))
    # libtiff turns up to 8 bits white side up; OpenCV hands 16 bits and more through as they are.
    inverted = one(262, 1) == 0 and bits > 8
    return Header("tiff", width, height, channels, one(274, 1), None, inverted, tuple(full))


def _bmp(content: bytes) -> Header:
    start, size = struct.unpack("<II", content[10:18])
    if size == 12:
        width, height, _, bits = struct.unpack("<HHHH", content[18:26])
        packed = 0
    else:
        width, height, _, bits, packed = struct.unpack("<iiHHI", content[18:34])
    if packed in (0, 3) and start + (width * bits + 31) // 32 * 4 * abs(height) > len(content):
        raise HeaderError("is truncated (its picture is longer than the file)")
    return Header("bmp", width, abs(height))


def _pnm(content: bytes) -> Header:
    kind = content[1] - ord("0")
    wanted = 2 if kind in (1, 4) else 3
    gap = rb"(?:\s|#[^\n]*\n)+"
    match = re.match(rb"P[1-6]" + (gap + rb"(\d{1,10})") * wanted + rb"\s", content[:65536])
    if not match:
        raise HeaderError("is truncated or its header is damaged")
    width, height, *rest = (int(number) for number in match.groups())
    white = rest[0] if rest else 1
    if not 0 < white < 65536:
        raise HeaderError(f"declares a largest value of {white}, which must lie in 1 to 65535")
    channels = 3 if kind in (3, 6) else 1
    row = (width + 7) // 8 if kind == 4 else width * channels * (1 if white < 256 else 2)
    if kind >= 4 and match.end() + row * height > len(content):
        raise HeaderError("is truncated (its picture is longer than the file)")
    return Header("pnm", width, height, channels, white=white if rest else None)
