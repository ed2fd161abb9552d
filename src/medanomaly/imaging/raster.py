"""PNG, JPEG, TIFF, BMP and PGM/PPM through OpenCV, at the depth they were stored in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from medanomaly.imaging.errors import MAX_PIXELS, ImageError
from medanomaly.imaging.header import Header, HeaderError, read_header
from medanomaly.imaging.picture import Picture

#: A picture within ``MAX_PIXELS`` fits into so many bytes, uncompressed, in 16 bits and colour, with room for metadata.
_MAX_BYTES = 8 * MAX_PIXELS

#: How OpenCV decodes, by whether the file is grey and by how far it shrinks. A grey file read as such costs a third of
#: the memory and, of a film of 1024 px, a sixtieth of the time.
_FLAGS = {
    False: {
        1: cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    },
    True: {
        1: cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    },
}

# OpenCV writes its own complaints about broken files to stderr; ours name the file and the remedy.
if hasattr(cv2, "utils") and hasattr(cv2.utils, "logging"):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

#: Shape of the upright image (height, width) to the factor 1, 2, 4 or 8 by which a JPEG may shrink in decoding.
Reduction = Callable[[tuple[int, int]], int]


def read_raster(path: Path, frame: int | None = None, reduction: Reduction | None = None) -> Picture:
    """Decode a file that is no DICOM.

    Alpha is dropped, EXIF orientation is applied. A grey PNG, JPEG, PGM or PBM stays one channel (H, W).

    Args:
        path: The file.
        frame: Page of a TIFF, from 1; needed where it has several.
        reduction: Asked once for JPEGs of 8 bits; other formats are decoded in full.

    Raises:
        ImageError: if the file is empty, truncated, no image, of another depth, over ``MAX_PIXELS``, or holds NaN.
    """
    data, header = _open(path, frame)
    factor = reduction(header.shape) if reduction and header.kind == "jpeg" else 1
    while header.orientation > 1 and (header.width % factor or header.height % factor):
        factor //= 2  # turned, the pixels that lie half beyond the edge would come first
    image = _imdecode(path, data, header, frame, _FLAGS[header.grey][factor])
    if image.dtype not in (np.uint8, np.uint16, np.int16, np.float32):
        raise ImageError(f"{path}: has pixels of type {image.dtype}. Save it as 8- or 16-bit or 32-bit float.")
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise ImageError(f"{path}: holds NaN or infinite pixels. Replace them before use.")
    height, width = image.shape[:2]
    if factor == 1 and sorted((height, width)) != sorted(header.shape):
        raise ImageError(f"{path}: declares {header.shape[1]}×{header.shape[0]} but holds {width}×{height}.")
    pixels = image if image.ndim == 2 else _rgb(image)
    depth = Picture.of(pixels).depth
    if header.white is not None and pixels.dtype.kind == "u":
        depth = (0.0, float(header.white))
    return Picture(pixels, depth, header.shape if factor > 1 else (height, width), header.inverted)


def _rgb(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.int16:  # which OpenCV's own exchange, forty times as fast, does not know
        return np.ascontiguousarray(image[:, :, ::-1])
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def count_pages(path: Path) -> int:
    """How many pictures the file holds: the full pages of a TIFF, else 1.

    Raises:
        ImageError: as for :func:`read_raster`, as far as the header tells.
    """
    return len(_open(path, 1)[1].pages)


def _open(path: Path, frame: int | None) -> tuple[np.ndarray, Header]:
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ImageError(f"{path}: of {size} bytes is larger than any image within {MAX_PIXELS} pixels.")
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error
    if data.size == 0:
        raise ImageError(f"{path}: is empty (0 bytes). Copy or export it again.")
    try:
        header = read_header(data, (frame or 1) - 1)
    except HeaderError as error:
        raise ImageError(f"{path}: {error}. Copy or export it again.") from error
    if header is None:
        raise _unreadable(path)
    if header.width < 1 or header.height < 1:
        raise ImageError(f"{path}: declares a picture of {header.width}×{header.height} pixels. Export it again.")
    if header.width * header.height > MAX_PIXELS:
        raise ImageError(f"{path}: {header.width}×{header.height} is over the limit of {MAX_PIXELS} pixels.")
    if frame is None and len(header.pages) > 1:
        raise ImageError(f"{path}: holds {len(header.pages)} pages. Name one, as in {path.name}#frame=1.")
    if frame is not None and not 1 <= frame <= len(header.pages):
        raise ImageError(f"{path}: has no frame {frame}; frames count from 1 to {len(header.pages)}.")
    return data, header


def _unreadable(path: Path) -> ImageError:
    return ImageError(
        f"{path}: is not a readable image, or is truncated. Readable: PNG, JPEG, TIFF, BMP, PGM and PPM, 8 or 16 bit, "
        "grey or colour; and DICOM files, which bear DICM at byte 128."
    )


def _imdecode(path: Path, data: np.ndarray, header: Header, frame: int | None, flags: int) -> np.ndarray:
    page = header.pages[(frame or 1) - 1]
    try:
        image = _page(data, page, flags)
        if image is None:  # OpenCV turns grey floats into colour for nobody
            image = _page(data, page, cv2.IMREAD_UNCHANGED)
            if image is not None:
                image = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image[:, :, :3]
    except (cv2.error, MemoryError) as error:
        raise ImageError(f"{path}: cannot be decoded ({_reason(error)}). Export it again.") from error
    if image is None or image.size == 0:
        raise _unreadable(path)
    return image


def _page(data: np.ndarray, page: int, flags: int) -> np.ndarray | None:
    if page == 0:
        return cv2.imdecode(data, flags)
    _, pages = cv2.imdecodemulti(data, flags, None, (page, page + 1))
    return pages[0] if pages else None


def _reason(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(getattr(error, "err", "") or "OpenCV error"))
