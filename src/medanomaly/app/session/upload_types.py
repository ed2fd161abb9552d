"""Detect an upload's type by its first bytes, never by its name."""

from __future__ import annotations

from dataclasses import dataclass

from medanomaly.imaging.dicom_head import is_dicom

#: So many bytes tell every kind.
HEAD = 512


@dataclass(frozen=True)
class Kind:
    """A kind of file that is taken in.

    Args:
        name: What the page calls it.
        suffix: What its copy in the session's folder ends with.
        group: ``image``, ``video`` or ``zip``.
    """

    name: str
    suffix: str
    group: str


_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", Kind("PNG", ".png", "image")),
    (b"\xff\xd8\xff", Kind("JPEG", ".jpg", "image")),
    (b"II*\x00", Kind("TIFF", ".tif", "image")),
    (b"MM\x00*", Kind("TIFF", ".tif", "image")),
    (b"BM", Kind("BMP", ".bmp", "image")),
    *((b"P" + digit, Kind("PNM", ".pgm", "image")) for digit in (b"1", b"2", b"3", b"4", b"5", b"6")),
)
#: Containers of their own bytes alone. Playlists and scripts, which make a player open other files and addresses, have
#: none of these beginnings.
_VIDEOS = (
    (b"\x1a\x45\xdf\xa3", Kind("Matroska or WebM", ".mkv", "video")),
    (b"\x00\x00\x01\xba", Kind("MPEG", ".mpg", "video")),
    (b"\x00\x00\x01\xb3", Kind("MPEG", ".mpg", "video")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("WMV", ".wmv", "video")),
)
_REFUSED = (
    *(
        (b"\x80" + bytes([version]), "is a Python pickle, which can run code when it is opened")
        for version in range(1, 6)
    ),
    (b"\x93NUMPY", "is a NumPy array. Save it as PNG or TIFF"),
    (b"%PDF", "is a PDF document. Export its pictures"),
    (b"\x1f\x8b", "is a gzip archive. Send the images themselves, or a zip"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive. Send the images themselves, or a zip"),
    (b"Rar!", "is a RAR archive. Send the images themselves, or a zip"),
    (b"\x7fELF", "is a program"),
    (b"MZ", "is a program"),
)

READABLE = "PNG, JPEG, TIFF, BMP, PGM, PPM, DICOM, videos (MP4, MOV, AVI, MKV, WebM, MPEG, WMV) and zip files of these"


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file; None if it is none that is taken in.

    Args:
        head: Its first ``HEAD`` bytes, or all of a shorter one.
    """
    if is_dicom(head):
        return Kind("DICOM", ".dcm", "image")
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return Kind("zip", ".zip", "zip")
    if head[4:8] == b"ftyp":
        return Kind("MP4 or MOV", ".mp4", "video")
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Kind("AVI", ".avi", "video")
    return next((kind for start, kind in (*_IMAGES, *_VIDEOS) if head.startswith(start)), None)


def why_refused(head: bytes) -> str:
    """Why a file that is of no kind is refused; the end of a sentence that begins with its name."""
    if not head:
        return "is empty (0 bytes). Copy or export it again."
    known = next((reason for start, reason in _REFUSED if head.startswith(start)), None)
    return f"{known or f'is of no known kind. Taken in: {READABLE}'}."
