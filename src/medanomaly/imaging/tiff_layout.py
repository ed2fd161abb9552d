"""Check what one page of a TIFF declares before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from medanomaly.imaging.limits import MAX_PIXELS
from medanomaly.imaging.tiff_directory import Directory, Form, TiffError
from medanomaly.imaging.tiff_stack import BITS, COMPRESSION, LENGTH, SAMPLES, STRIP_LENGTHS, STRIP_OFFSETS, WIDTH

NONE, LZW, JPEG, PACKBITS = 1, 5, 7, 32773
DEFLATE = (8, 32946)
_READ = (NONE, LZW, JPEG, PACKBITS, *DEFLATE)
_COMPRESSIONS = {
    2: "CCITT RLE", 3: "CCITT fax group 3", 4: "CCITT fax group 4", 6: "JPEG of the old kind", 9: "JBIG", 10: "JBIG",
    22610: "JPEG XR", 32766: "NeXT RLE", 32771: "CCITT RLE", 32809: "ThunderScan", 32908: "PixarFilm",
    32909: "PixarLog", 33003: "JPEG 2000 (Aperio)", 33005: "JPEG 2000 (Aperio)", 34661: "JBIG", 34676: "SGI LogLuv",
    34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG of DNG", 34925: "LZMA",
    34926: "Zstandard", 34933: "PNG", 34934: "JPEG XR",
    50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip

GREY_INVERTED, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
#: Samples of colour; what more a pixel has is extra.
_COLOURS = {GREY_INVERTED: 1, GREY: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
_PHOTOMETRICS = {
    4: "a transparency mask", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "a camera's raw mosaic",
    32844: "LogL", 32845: "LogLuv", 34892: "a camera's linear raw",
}  # fmt: skip
#: ExtraSamples: alpha that the colours were multiplied by, and alpha that they were not.
_ALPHA = (1, 2)

_SAVE = "Save it uncompressed, or with LZW or deflate."
_DEPTHS = "Save it as 8- or 16-bit or as 32-bit float."


@dataclass(frozen=True)
class Layout:
    """One page.

    Args:
        width: Columns as stored.
        height: Rows as stored.
        bits: Of a sample.
        kind: ``u``, ``i`` or ``f``: unsigned, signed, float.
        order: Byte order of samples, ``<`` or ``>``.
        photometric: As the specification numbers it.
        compression: As the specification numbers it.
        predictor: 1 for none, 2 for differences, 3 for those of floats.
        samples: Of a pixel as stored.
        colours: The number of these, from the first, that are colour.
        alpha: Which is alpha, or None.
        apart: Whether each sample is a plane of its own.
        part: Height and width of a strip or tile.
        tiled: Whether parts at the edges are as large as all others.
        starts: Place of every part in the file; plane by plane where ``apart``.
        lengths: Bytes of every part.
        reversed_bits: Whether bytes begin at their lowest bit.
        orientation: 1 to 8, as in EXIF.
        tables: Tables that parts in JPEG share.
        palette: (entries, 3) uint8 of a palette; None without.
    """

    width: int
    height: int
    bits: int
    kind: str
    order: str
    photometric: int
    compression: int
    predictor: int
    samples: int
    colours: int
    alpha: int | None
    apart: bool
    part: tuple[int, int]
    tiled: bool
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    reversed_bits: bool
    orientation: int
    tables: bytes
    palette: np.ndarray | None

    @property
    def together(self) -> int:
        """Samples that lie together in one part."""
        return 1 if self.apart else self.samples


def size_of(directory: Directory) -> tuple[int, int]:
    """Width and height as stored; 0 where they are missing."""
    return directory.number(WIDTH, 0), directory.number(LENGTH, 0)


def layout_of(directory: Directory, form: Form, size: int, shift: int = 0) -> Layout:
    """Read and check what a page declares.

    Args:
        directory: Of the page; its width and height are positive.
        form: How the file's numbers are written.
        size: Of the file, in bytes.
        shift: By how many bytes its strips lie further on.

    Raises:
        TiffError: if it is damaged, or of a kind that is not read; says which.
    """
    width, height = size_of(directory)
    compression = directory.number(COMPRESSION, NONE)
    if compression not in _READ:
        name = _COMPRESSIONS.get(compression, f"of number {compression}")
        raise TiffError(f"has the compression {name}, which is not read in a TIFF", _SAVE)
    bits, kind = _depth(directory)
    photometric, samples, colours, alpha = _samples(directory)
    predictor = directory.number(317, 1) if compression in (LZW, *DEFLATE) else 1
    planar = directory.number(284, 1)
    if planar not in (1, 2) or predictor not in (1, 2, 3):
        raise TiffError(f"is damaged (planar configuration {planar}, predictor {predictor})")
    if (predictor == 2 and bits not in (8, 16, 32)) or (predictor == 3 and kind != "f"):
        raise TiffError(f"has the predictor {predictor} over samples of {bits} bits, which TIFF does not know")
    apart = planar == 2 and samples > 1
    if directory.number(32997, 1) > 1:
        raise TiffError("is a volume (its ImageDepth is above 1)", "Save its slices as pages.")
    if compression == JPEG and (bits != 8 or (1 if apart else samples) not in (1, 3)):
        raise TiffError(f"has JPEG of {bits} bits and {samples} samples a pixel, which is not read in a TIFF", _SAVE)
    if photometric == YCBCR and (compression != JPEG or apart):
        raise TiffError("has the colours YCbCr outside JPEG, which are not read", "Save it as RGB.")
    if photometric == CMYK and (bits != 8 or compression == JPEG or directory.number(332, 1) != 1):
        raise TiffError("has colours for printing (CMYK) of a kind that is not read", "Save it as RGB.")
    tiled = 322 in directory
    part, starts, lengths = _parts(directory, (height, width), tiled, samples if apart else 1, size, shift)
    return Layout(
        width, height, bits, kind, form.order, photometric, compression, predictor, samples, colours, alpha, apart,
        part, tiled, starts, lengths, directory.number(266, 1) == 2, directory.number(274, 1),
        directory.content(347) if compression == JPEG else b"",
        _palette(directory, bits) if photometric == PALETTE else None,
    )  # fmt: skip


def _depth(directory: Directory) -> tuple[int, str]:
    every_bits, formats = directory.numbers(BITS, 64) or (1,), directory.numbers(339, 64) or (1,)
    if len(set(every_bits)) > 1 or len(set(formats)) > 1:
        raise TiffError(f"has samples of different depths ({', '.join(map(str, every_bits))} bits)", _DEPTHS)
    # 4, "undefined", is what TIFF calls samples of which nothing is said: unsigned, as by default.
    bits, kind = every_bits[0], {1: "u", 2: "i", 3: "f", 4: "u", 5: "complex", 6: "complex"}.get(formats[0], "")
    if not ((kind == "u" and 1 <= bits <= 16) or (kind == "i" and bits in (8, 16)) or (kind == "f" and bits == 32)):
        name = {"u": "unsigned integers", "i": "signed integers", "f": "float", "complex": "complex"}.get(kind)
        raise TiffError(
            f"has pixels of {bits}-bit {name or f'unknown format {formats[0]}'}, which are not read", _DEPTHS
        )
    return bits, kind


def _samples(directory: Directory) -> tuple[int, int, int, int | None]:
    """Photometric interpretation, samples a pixel, how many are colour, and which is alpha."""
    photometric, samples = directory.number(262, -1), directory.number(SAMPLES, 1)
    colours = _COLOURS.get(photometric)
    if colours is None:
        shown = _PHOTOMETRICS.get(photometric, f"the photometric interpretation {photometric}")
        fault = "does not say how its values are shown" if photometric < 0 else f"holds {shown}, which is not read"
        raise TiffError(fault, "Save it as grey or RGB.")
    extra = samples - colours
    if extra < 0:
        raise TiffError(f"is damaged (it declares {samples} samples a pixel, of which {colours} are colour)")
    if extra == 0:
        return photometric, samples, colours, None
    meaning = directory.number(338, 0)
    # A fourth sample of RGB of which nothing is said is alpha, as every decoder has it. Beside grey it may be a second
    # stain or exposure: which of them is the image is not ours to guess.
    if extra > 1 or not (meaning in _ALPHA or (photometric == RGB and meaning == 0)):
        raise TiffError(
            f"has {samples} channels, of which {colours} {'is' if colours == 1 else 'are'} colour and {extra} of "
            "unknown meaning",
            "Save the channels as images of their own, or as grey or RGB with or without alpha.",
        )
    return photometric, samples, colours, colours


def _parts(
    directory: Directory, shape: tuple[int, int], tiled: bool, planes: int, size: int, shift: int
) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
    height, width = shape
    if tiled:
        part = (directory.number(323, 0), directory.number(322, 0))
        number = ceil(height / max(part[0], 1)) * ceil(width / max(part[1], 1)) * planes
        if min(part) < 1 or max(part) > 2 * max(width, height) + 4096 or part[0] * part[1] > MAX_PIXELS:
            raise TiffError(f"is damaged (it declares tiles of {part[1]}×{part[0]} pixels)")
        tags = (324, 325) if 324 in directory else (STRIP_OFFSETS, STRIP_LENGTHS)
    else:
        part = (min(directory.number(278, height) or height, height), width)
        number = ceil(height / part[0]) * planes
        tags = (STRIP_OFFSETS, STRIP_LENGTHS)
    # An entry costs at least a byte: what cannot be there is not asked for.
    starts, lengths = (directory.numbers(tag, number) if number <= size else () for tag in tags)
    if len(starts) < number or len(lengths) < number:
        raise TiffError(f"is damaged (it lists {min(len(starts), len(lengths))} of its {number} strips or tiles)")
    starts = tuple(place + shift for place in starts)
    for index, (place, length) in enumerate(zip(starts, lengths, strict=True), 1):
        if place + length > size:
            raise TiffError("is truncated (part of its picture lies beyond the end of the file)")
        if length == 0:
            raise TiffError(f"is damaged (strip or tile {index} of {number} is empty)")
    return part, starts, lengths


def _palette(directory: Directory, bits: int) -> np.ndarray:
    """(entries, 3) uint8: the upper halves of 16 bits, or all of them where a writer stored 8 (as libtiff reads)."""
    table = np.array(directory.numbers(320, 3 * 2**bits), dtype=np.uint16)
    if table.size != 3 * 2**bits:
        raise TiffError(f"is damaged (its palette has {table.size // 3} colours, not {2**bits})")
    entries = table.reshape(3, -1).T
    return np.ascontiguousarray(entries if entries.max() < 256 else entries >> 8).astype(np.uint8)
