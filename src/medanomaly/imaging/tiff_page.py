"""Decode one page of a TIFF: lay out its parts, undo its predictor, make its colours RGB.

TIFF (revision 6.0, technical notes 1 to 3, and BigTIFF) is read here rather than by OpenCV. OpenCV 5.0 reads 8 bits by
libtiff's RGBA functions, which leave a damaged strip black without a word and multiply by alpha, and it lays samples
that are stored apart into memory that it never fills. OpenCV is asked for single strips: of LZW and PackBits, where its
answer is checked, and of JPEG. No library beyond the base install takes part, so the edge reads what training reads.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from medanomaly.imaging.banded_resize import bands, stacked
from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.tiff_codecs import expand, jpeg, most_bytes
from medanomaly.imaging.tiff_directory import Source
from medanomaly.imaging.tiff_layout import CMYK, GREY_INVERTED, JPEG, YCBCR, Layout

#: Bytes with their bits in the other direction.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read_page(source: Source, layout: Layout) -> DecodedImage:
    """Read a page upright: grey (H, W) or RGB (H, W, 3).

    Alpha is left out, and nothing is multiplied or divided by it: colours that were multiplied by alpha when the file
    was written ("associated") stay so, which is the picture before black.

    Raises:
        TiffError: if a part of it is damaged.
    """
    stored = _samples(source, layout, range(layout.colours))
    lossy = layout.compression == JPEG
    if layout.palette is not None:
        return _upright(layout.palette[stored[:, :, 0]], (0.0, 255.0), layout, lossy=lossy)
    if layout.photometric == CMYK:  # as libtiff does it: no profile is known here
        rows = (_of_inks(stored[part]) for part in bands(len(stored), layout.width * 4))
        return _upright(stacked(rows, len(stored)), (0.0, 255.0), layout, lossy=lossy)
    pixels = stored[:, :, 0] if layout.colours == 1 else stored
    if layout.bits in (1, 2, 4):
        pixels = pixels * np.uint8(255 // (2**layout.bits - 1))
    dark = layout.photometric == GREY_INVERTED
    if layout.kind == "u" and layout.bits in (1, 2, 4, 8):
        return _upright(255 - pixels if dark else pixels, (0.0, 255.0), layout, lossy=lossy)
    if layout.kind == "f":
        return _upright(pixels, None, layout, dark)
    half = 2 ** (layout.bits - 1)
    depth = (float(-half), float(half - 1)) if layout.kind == "i" else (0.0, float(2 * half - 1))
    return _upright(pixels, depth, layout, dark)


def _of_inks(stored: np.ndarray) -> np.ndarray:
    left = 255 - stored.astype(np.uint16)
    return (left[:, :, :3] * left[:, :, 3:] // 255).astype(np.uint8)


def read_alpha(source: Source, layout: Layout) -> np.ndarray | None:
    """The alpha of a page as stored, (H, W) upright; None if it has none.

    Raises:
        TiffError: as for :func:`read_page`.
    """
    if layout.alpha is None:
        return None
    stored = _samples(source, layout, range(layout.alpha, layout.alpha + 1))
    return _turned(stored[:, :, 0], layout.orientation)


def _upright(
    pixels: np.ndarray, depth: tuple[float, float] | None, layout: Layout, inverted: bool = False, lossy: bool = False
) -> DecodedImage:
    turned = _turned(pixels, layout.orientation)
    return DecodedImage(turned, depth, (turned.shape[0], turned.shape[1]), inverted, lossy)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Bring the first row to the top and the first column to the left, as tag Orientation says (EXIF numbers alike)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _samples(source: Source, layout: Layout, wanted: range) -> np.ndarray:
    """(H, W, wanted) of the samples as stored, in the machine's byte order."""
    down, across = ceil(layout.height / layout.part[0]), ceil(layout.width / layout.part[1])
    planes = wanted if layout.apart else range(1)
    whole: np.ndarray | None = None
    for channel, plane in enumerate(planes):
        for row in range(down):
            for column in range(across):
                part = _part(source, layout, (plane * down + row) * across + column, row)
                top, left = row * layout.part[0], column * layout.part[1]
                part = part[: layout.height - top, : layout.width - left]
                if whole is None:  # not before a first part proved to be there
                    whole = np.empty((layout.height, layout.width, len(wanted)), part.dtype)
                box = whole[top : top + part.shape[0], left : left + part.shape[1]]
                if layout.apart:
                    box[:, :, channel] = part[:, :, 0]
                else:
                    box[:] = part[:, :, wanted.start : wanted.stop]
    assert whole is not None
    return whole


def _part(source: Source, layout: Layout, index: int, row: int) -> np.ndarray:
    """(h, w, samples) of one strip or tile, in the machine's byte order."""
    height, width = layout.part
    if not layout.tiled:
        height = min(height, layout.height - row * height)
    line = (width * layout.together * layout.bits + 7) // 8
    raw = source.take(layout.starts[index], min(layout.lengths[index], most_bytes(height * line)))
    if layout.compression == JPEG:
        return jpeg(raw, layout.tables, (height, width), layout.together, layout.photometric == YCBCR)
    if layout.reversed_bits:
        raw = raw.translate(_REVERSED)
    content = expand(raw, height * line, layout.compression)
    del raw  # a strip may be the whole picture
    data = np.frombuffer(content, np.uint8).reshape(height, line)
    return _values(data, layout).reshape(height, width, layout.together)


def _values(data: np.ndarray, layout: Layout) -> np.ndarray:
    """Rows of bytes (h, line) to rows of values (h, w · samples)."""
    if layout.predictor == 3:
        return _float_differences(data, layout.together)
    if layout.kind == "u" and layout.bits not in (8, 16):
        return _unpacked(data, layout)
    size = layout.bits // 8
    if layout.predictor == 2:  # of floats too, the differences are those of their bits
        whole = data.view(f"{layout.order}u{size}").astype(f"=u{size}")
        spread = whole.reshape(len(whole), -1, layout.together)
        data = np.add.accumulate(spread, axis=1, dtype=spread.dtype).reshape(whole.shape)
        values = data.view(f"={layout.kind}{size}")
    else:
        values = data.view(f"{layout.order}{layout.kind}{size}").astype(f"={layout.kind}{size}", copy=False)
    return values.astype(np.int16) if values.dtype == np.int8 else values


def _float_differences(data: np.ndarray, together: int) -> np.ndarray:
    """Technical note 3: the bytes of a row by their weight, highest first, and of them the differences."""
    spread = data.reshape(len(data), -1, together)
    summed = np.add.accumulate(spread, axis=1, dtype=np.uint8).reshape(len(data), 4, -1)
    return np.ascontiguousarray(summed.transpose(0, 2, 1)).view(">f4")[:, :, 0].astype(np.float32)


def _unpacked(data: np.ndarray, layout: Layout) -> np.ndarray:
    """Values of fewer bits than their type, packed highest bit first; a row begins at a whole byte."""
    count = layout.part[1] * layout.together
    values = np.zeros((len(data), count), np.uint8 if layout.bits < 8 else np.uint16)
    rows = max(1, 2**20 // count)  # a bit takes a byte meanwhile
    for top in range(0, len(data), rows):
        some = np.unpackbits(data[top : top + rows], axis=1, count=count * layout.bits)
        bits = some.reshape(len(some), count, layout.bits)
        for place in range(layout.bits):
            values[top : top + rows] |= bits[:, :, place].astype(values.dtype) << (layout.bits - 1 - place)
    return values
