"""Check the compressed picture inside a DICOM frame against the DICOM header before a C decoder sees it."""

from __future__ import annotations

import struct

from medanomaly.imaging.file_header import HeaderError, read_jpeg

_JPEG_2000 = b"\xff\x4f\xff\x51"  # start of codestream, then its size


def check_stream(stream: bytes, columns: int, rows: int, samples: int) -> str | None:
    """Compare what a compressed frame declares with what its DICOM header does.

    Streams that are neither JPEG, JPEG-LS nor JPEG 2000 (RLE) have no header of their own.

    Returns:
        What is wrong, or None.
    """
    try:
        if stream[:3] == b"\xff\xd8\xff":
            header = read_jpeg(stream)
            found = (header.width, header.height, header.channels)
        elif (start := stream[:512].find(_JPEG_2000)) >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
            (channels,) = struct.unpack_from(">H", stream, start + 40)
            found = (right - left, bottom - top, channels)
        else:
            return None
    except (HeaderError, struct.error) as error:
        return str(error) if isinstance(error, HeaderError) else "is truncated"
    if found == (columns, rows, samples):
        return None
    return f"is {found[0]}×{found[1]} of {found[2]} samples, not {columns}×{rows} of {samples} as declared"
