"""Decode PNG, JPEG, TIFF, BMP and PBM/PGM/PPM at their stored depth; PNG, JPEG and BMP through OpenCV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from medanomaly.imaging.banded_resize import bands
from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.file_header import Header, HeaderError, read_header
from medanomaly.imaging.file_kinds import kind_of
from medanomaly.imaging.limits import MAX_PIXELS, ImageError
from medanomaly.imaging.pnm import Pnm, is_pnm, read_pnm, read_pnm_header
from medanomaly.imaging.tiff_directory import Source, TiffError
from medanomaly.imaging.tiff_layout import Layout, layout_of, size_of
from medanomaly.imaging.tiff_page import read_alpha, read_page
from medanomaly.imaging.tiff_stack import stack_of

#: Bytes that a picture within ``MAX_PIXELS`` fits into, uncompressed, in 16 bits and colour, with room for metadata.
_MAX_BYTES = 8 * MAX_PIXELS

#: How a TIFF begins, in both byte orders, and a BigTIFF.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

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


def read_raster(path: Path, frame: int | None = None, reduction: Reduction | None = None) -> DecodedImage:
    """Decode a file that is no DICOM.

    Alpha is dropped, never multiplied; orientation is applied. A grey PNG, JPEG, PGM or PBM stays one channel (H, W).

    Args:
        path: The file.
        frame: Page of a TIFF, from 1; needed where it has several.
        reduction: Asked once for JPEGs of 8 bits; other formats are decoded in full.

    Raises:
        ImageError: if the file is empty, truncated, damaged, no image, of a kind that is not read, over
            ``MAX_PIXELS``, or holds NaN.
    """
    if _begin(path)[:4] in _TIFF:
        with _tiff(path, frame) as (source, layout):
            picture = read_page(source, layout)
        if picture.pixels.dtype == np.float32 and not np.isfinite(picture.pixels).all():
            raise ImageError(f"{path}: holds NaN or infinite pixels. Replace them before use.")
        # Three channels, as version 0.1.0 read it: percentiles over one differ from them in the fifth digit.
        return replace(picture, pixels=_thrice(picture.pixels))
    return _read(path, _content(path), frame, reduction)


def alpha_of(path: Path, frame: int | None = None) -> np.ndarray | None:
    """The transparency of a PNG or TIFF as stored, (H, W) upright; None where there is none.

    Raises:
        ImageError: as for :func:`read_raster`.
    """
    if _begin(path)[:4] in _TIFF:
        with _tiff(path, frame) as (source, layout):
            return read_alpha(source, layout)
    content = _content(path)
    if is_pnm(content) or not (header := _header(path, content, frame)).alpha:
        return None
    pixels = _decoded(path, content, header, cv2.IMREAD_UNCHANGED)
    return pixels[:, :, 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else None


def count_pages(path: Path) -> int:
    """How many pictures the file holds: the full pages of a TIFF, else 1.

    Raises:
        ImageError: as for :func:`read_raster`, as far as the header tells.
    """
    if _begin(path)[:4] in _TIFF:
        with _tiff_faults(path):
            count = stack_of(path).frames
        if count == 1:
            with _tiff(path, 1):  # of several, each is looked at when it is read
                pass
        return count
    content = _content(path)
    if is_pnm(content):
        _pnm_header(path, content, None)
    else:
        _header(path, content, None)
    return 1


def declared(path: Path, frame: int | None = None) -> tuple[int, int, int]:
    """Height, width and samples a pixel of a picture as stored, by its header.

    Raises:
        ImageError: as for :func:`read_raster`, as far as the header tells.
    """
    if _begin(path)[:4] in _TIFF:
        with _tiff(path, frame) as (_, layout):
            return layout.height, layout.width, layout.samples
    content = _content(path)
    if is_pnm(content):
        pnm = _pnm_header(path, content, frame)
        return pnm.height, pnm.width, pnm.values // (pnm.width * pnm.height)
    header = _header(path, content, frame)
    return header.height, header.width, header.channels


def _begin(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ImageError(f"{path}: of {size} bytes is larger than any image within {MAX_PIXELS} pixels.")
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error
    if not content:
        raise ImageError(f"{path}: is empty (0 bytes). Copy or export it again.")
    return content


def _check_size(path: Path, width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{path}: declares a picture of {width}×{height} pixels. Export it again.")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path}: {width}×{height} is over the limit of {MAX_PIXELS} pixels.")


def _check_frame(path: Path, frame: int | None, count: int, slide: str = "") -> None:
    if frame is None and count > 1:
        what = f"is a whole slide ({slide}) of {count} pages" if slide else f"holds {count} pages"
        raise ImageError(f"{path}: {what}. Name one, as in {path.name}#frame=1.")
    if frame is not None and not 1 <= frame <= count:
        raise ImageError(f"{path}: has no frame {frame}; frames count from 1 to {count}.")


@contextmanager
def _tiff_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except TiffError as error:
        raise ImageError(f"{path}: {error}. {error.remedy}") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error


@contextmanager
def _tiff(path: Path, frame: int | None) -> Iterator[tuple[Source, Layout]]:
    with _tiff_faults(path):
        stack = stack_of(path)
        _check_frame(path, frame, stack.frames, stack.slide)
        with path.open("rb") as file:
            source = Source(file)
            directory, shift = stack.directory(source, (frame or 1) - 1)
            width, height = size_of(directory)
            if stack.slide and width * height > MAX_PIXELS:
                raise TiffError(
                    f"is a whole slide ({stack.slide}) of {width}×{height} pixels, over the limit of {MAX_PIXELS}",
                    "Export the region of interest, or a lower magnification, as PNG or TIFF.",
                )
            _check_size(path, width, height)
            yield source, layout_of(directory, stack.form, source.size, shift)


def _header(path: Path, content: bytes, frame: int | None) -> Header:
    try:
        header = read_header(content)
    except HeaderError as error:
        raise ImageError(f"{path}: {error}. Copy or export it again.") from error
    if header is None:
        raise ImageError(f"{path}: {kind_of(content, path.name)}")
    _check_size(path, header.width, header.height)
    _check_frame(path, frame, 1)
    return header


def _read(path: Path, content: bytes, frame: int | None, reduction: Reduction | None) -> DecodedImage:
    if is_pnm(content):
        return _read_pnm(path, content, frame)
    header = _header(path, content, frame)
    factor = reduction(header.shape) if reduction and header.kind == "jpeg" else 1
    while header.orientation > 1 and (header.width % factor or header.height % factor):
        factor //= 2  # turned, the pixels that lie half beyond the edge would come first
    image = _decoded(path, content, header, _FLAGS[header.grey][factor])
    del content  # the file is as large as the picture, if it does not compress
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: has pixels of type {image.dtype}. Save it as 8 or 16 bit.")
    height, width = image.shape[:2]
    if factor == 1 and sorted((height, width)) != sorted(header.shape):
        raise ImageError(f"{path}: declares {header.shape[1]}×{header.shape[0]} but holds {width}×{height}.")
    pixels = image if image.ndim == 2 else _rgb(image)
    shape = header.shape if factor > 1 else (height, width)
    return DecodedImage(pixels, (0.0, float(np.iinfo(pixels.dtype).max)), shape, lossy=header.lossy)


def _thrice(pixels: np.ndarray) -> np.ndarray:
    """Grey (H, W) seen as (H, W, 3), to be read only: it takes no memory, where a copy takes twice as much again."""
    return np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3)) if pixels.ndim == 2 else pixels


def _rgb(image: np.ndarray) -> np.ndarray:
    """Turn OpenCV's order of channels in place: a second copy of a large picture is never made."""
    for part in bands(image.shape[0], image.shape[1] * 3):
        cv2.cvtColor(image[part], cv2.COLOR_BGR2RGB, dst=image[part])
    return image


def _pnm_header(path: Path, content: bytes, frame: int | None) -> Pnm:
    try:
        header = read_pnm_header(content)
    except HeaderError as error:
        raise ImageError(f"{path}: {error}. Copy or export it again.") from error
    _check_size(path, header.width, header.height)
    _check_frame(path, frame, 1)
    return header


def _read_pnm(path: Path, content: bytes, frame: int | None) -> DecodedImage:
    header = _pnm_header(path, content, frame)
    try:
        pixels = read_pnm(content, header)
    except HeaderError as error:
        raise ImageError(f"{path}: {error}. Copy or export it again.") from error
    white = 255.0 if header.kind in (1, 4) else float(header.white)
    return DecodedImage(pixels, (0.0, white), (header.height, header.width))


def _decoded(path: Path, content: bytes, header: Header, flags: int) -> np.ndarray:
    name = header.kind.upper()
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise ImageError(f"{path}: cannot be decoded as {name} ({_reason(error)}). Export it again.") from error
    if image is None or image.size == 0:
        variety = f" of {header.bits} bits" if header.bits != 8 else _lossless(header)
        remedy = "Save it as PNG." if variety else "Copy or export it again."
        why = "which is not read" if variety else "which is damaged or truncated"
        raise ImageError(f"{path}: is a {name}{variety}, {why}. {remedy}")
    return image


def _lossless(header: Header) -> str:
    return " of the lossless kind" if header.kind == "jpeg" and not header.lossy else ""


def _reason(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(getattr(error, "err", "") or "OpenCV error"))
