"""Parse an image file's header from its bytes, before any decoder allocates a pixel.

Each parser knows as much of its format as is needed to refuse what decoders would take without a word: a declared
size beyond all limits, a file that ends early, a PNG whose checksums do not match.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from medanomaly.errors import MedAnomalyError
from medanomaly.imaging.tiff_directory import Directory, Source, TiffError, start


class HeaderError(MedAnomalyError, ValueError):
    """A header that is damaged or declares what is not there. Says what is wrong, without the file's name."""


@dataclass(frozen=True)
class Header:
    """What a file declares.

    Args:
        kind: ``png``, ``jpeg`` or ``bmp``.
        width: Columns as stored.
        height: Rows as stored.
        channels: Samples a pixel.
        orientation: EXIF orientation, 1 to 8; 5 to 8 exchange width and height.
        bits: Of a sample, where a decoder may lack them (JPEG).
        lossy: Whether the compression loses values: every JPEG but the lossless ones.
        alpha: Whether there is transparency (PNG).
    """

    kind: str
    width: int
    height: int
    channels: int = 3
    orientation: int = 1
    bits: int = 8
    lossy: bool = False
    alpha: bool = False

    @property
    def grey(self) -> bool:
        """Whether every decoder makes one channel of it."""
        return self.channels == 1 and self.kind in ("png", "jpeg")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(content: bytes) -> Header | None:
    """Recognise a PNG, JPEG or BMP by its first bytes and read what it declares; None if it is none of them.

    Args:
        content: The whole file.

    Raises:
        HeaderError: if the header is damaged, or the file ends before its picture does.
    """
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(content)
        if content.startswith(b"\xff\xd8\xff"):
            return read_jpeg(content)
        if content.startswith(b"BM"):
            return _bmp(content)
    except (struct.error, IndexError) as error:
        raise HeaderError(f"is truncated or its header is damaged ({error})") from error
    return None


def _png(content: bytes) -> Header:
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise HeaderError("is truncated (its header is missing)")
    width, height = struct.unpack(">II", content[16:24])
    place, transparent = 8, content[25] in (4, 6)
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
            return Header("png", width, height, 1 if content[25] == 0 else 3, alpha=transparent)
        transparent |= name == b"tRNS"
        place = end + 4
    raise HeaderError("is truncated (its end marker is missing)")


def read_jpeg(content: bytes) -> Header:
    """Size, channels and orientation of a JPEG, JPEG-LS or lossless JPEG stream, which must hold its end marker.

    Raises:
        HeaderError: if there is no frame header, or the file ends before its picture does.
    """
    place, orientation, found, huffman, bits, lossy = 2, 1, None, False, 8, False
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
            bits, height, width, channels = struct.unpack(">BHHB", body[:6])
            if found and found != (width, height, channels):
                raise HeaderError("declares two sizes")
            found = (width, height, channels)
            huffman = marker in (0xC0, 0xC1, 0xC2)
            lossy = marker != 0xF7 and marker & 3 != 3
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
    return Header("jpeg", width, height, channels, orientation, bits, lossy)


def _orientation(exif: bytes) -> int:
    source = Source(BytesIO(exif))
    try:
        value = Directory(source, *start(source)).number(274, 1)
    except (struct.error, TiffError):
        return 1  # decoders ignore a damaged EXIF block too
    return value if 1 <= value <= 8 else 1


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
