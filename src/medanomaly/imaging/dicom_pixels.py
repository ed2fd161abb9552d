"""Decode the stored values of one DICOM frame, cut to the bits that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medanomaly.imaging.codestream import check_stream
from medanomaly.imaging.dicom_open import Opened
from medanomaly.imaging.limits import ImageError

if TYPE_CHECKING:
    from pydicom.uid import UID

#: One decoder wherever it is installed: those of lossy syntaxes differ by a grey level or two. RLE goes to pydicom's
#: own: the one in Rust panics on damaged data, past every `except Exception`.
_DECODERS = ("pydicom", "pylibjpeg", "gdcm", "pillow")
_EXTRA = "pip install 'medanomaly[dicom]'"
_EXTRA_12_BIT = "pip install 'medanomaly[dicom-libjpeg]' (its decoder is under the GPL v3)"
_LOSSY = frozenset({"JPEGBaseline8Bit", "JPEGExtended12Bit", "JPEGLSNearLossless", "JPEG2000", "HTJ2K"})


def stored_values(opened: Opened, index: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The values of a frame as stored.

    Args:
        opened: The file.
        index: The frame, from 0.

    Returns:
        Grey (H, W) or RGB (H, W, 3), of the file's integers or floats; the words they were taken from, with the bits
        above those stored; and the photometric interpretation, where YBR has become RGB.

    Raises:
        ImageError: if no decoder is installed, or the frame is not what the header declares.
    """
    data, path = opened.data, opened.path
    stream = opened.stream(index)
    photometric = str(data.PhotometricInterpretation)
    if opened.keyword != "PixelData":
        kind = ("<" if opened.syntax.is_little_endian else ">") + ("f4" if opened.keyword == "FloatPixelData" else "f8")
        values = np.frombuffer(stream, kind).astype(kind[1:]).reshape(data.Rows, data.Columns)
        return values, values, photometric
    if opened.frames is None and data.BitsAllocated == 1:
        pixels = data.Rows * data.Columns * data.SamplesPerPixel
        bits = np.unpackbits(np.frombuffer(stream, np.uint8), bitorder="little")[index * pixels % 8 :][:pixels]
        shape = (data.Rows, data.Columns, 3) if data.SamplesPerPixel == 3 else (data.Rows, data.Columns)
        return bits.reshape(shape), bits.reshape(shape), photometric
    words, photometric = _decoded(opened, stream)
    if words.shape[:2] != (data.Rows, data.Columns):
        raise ImageError(f"{path}: declares {data.Columns}×{data.Rows} but holds {words.shape[1]}×{words.shape[0]}.")
    return _within(words, int(data.BitsStored), opened.syntax), words, photometric


def stored_range(opened: Opened) -> tuple[int, int]:
    """Smallest and largest integer that the stored bits can hold."""
    bits, signed = int(opened.data.BitsStored), int(opened.data.get("PixelRepresentation") or 0)
    return _range(bits, bool(signed))


def _range(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def _decoded(opened: Opened, stream: bytes) -> tuple[np.ndarray, str]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    data, path, syntax = opened.data, opened.path, opened.syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(f"{path}: {_unread(syntax)}") from None
    available = [name for name in _DECODERS if name in decoder.available_plugins]
    twelve = syntax.keyword == "JPEGExtended12Bit" and data.BitsStored != 8
    if twelve:
        available = [name for name in available if name == "pylibjpeg"]  # the others read 8 bits alone
    if not decoder.is_available or (twelve and not available):
        kind, extra = ("12-bit JPEG", _EXTRA_12_BIT) if twelve else (syntax.name, _EXTRA)
        raise ImageError(f"{path}: is compressed as {kind}. Its decoder comes with: {extra}")
    plugin = available[0] if available else ""
    if syntax.is_encapsulated:
        # The decoders are C code that believes the stream, not the header that was checked before.
        fault = check_stream(stream, data.Columns, data.Rows, data.SamplesPerPixel)
        if fault:
            raise ImageError(f"{path}: its compressed picture {fault}. Export or send it again.")
        stream = encapsulate([stream], has_bot=False)
    options: dict[str, Any] = {
        "rows": int(data.Rows),
        "columns": int(data.Columns),
        "number_of_frames": 1,
        "samples_per_pixel": int(data.SamplesPerPixel),
        "bits_allocated": int(data.BitsAllocated),
        "bits_stored": int(data.BitsStored),
        "pixel_representation": int(data.get("PixelRepresentation") or 0),
        "photometric_interpretation": str(data.PhotometricInterpretation),
        "pixel_keyword": "PixelData",
        "pixel_vr": "OB" if data.BitsAllocated == 8 else "OW",
    }
    if data.SamplesPerPixel > 1:
        options["planar_configuration"] = int(data.get("PlanarConfiguration") or 0)
    if not syntax.keyword.startswith(("JPEG2000", "JPEGLS", "HTJ2K")):
        options["correct_unused_bits"] = False  # the words are looked at for padding first
    index = 0 if syntax.is_encapsulated else None
    try:
        words, about = decoder.as_array(stream, raw=False, index=index, decoding_plugin=plugin, **options)
    except RuntimeError as error:
        raise ImageError(f"{path}: {_undecoded(syntax, plugin, error)}") from error
    return words.astype(words.dtype.newbyteorder("="), copy=False), str(about["photometric_interpretation"])


def _undecoded(syntax: UID, plugin: str, error: RuntimeError) -> str:
    """Pillow and gdcm lack some kinds of a syntax, which then look like damage."""
    reason = " ".join(str(error).split()).rsplit("available plugins: ", 1)[-1][:200]
    other = {"pillow": f", or install its full decoder: {_EXTRA}", "gdcm": f", or install: {_EXTRA_12_BIT}"}
    return (
        f"its compressed picture ({syntax.name}) cannot be decoded ({reason}). "
        f"Export or send it again{other.get(plugin, '.')}"
    )


def _unread(syntax: UID) -> str:
    if any(word in syntax.name for word in ("MPEG", "HEVC")):
        return f"is a video inside DICOM ({syntax.name}). Export it as MP4 or MKV."
    return f"is compressed as {syntax.name}, which is not read. Decompress it first."


def _within(words: np.ndarray, bits: int, syntax: UID) -> np.ndarray:
    """Cut to the stored bits, sign extended (PS3.5 8.1.1): those above may hold overlays or anything.

    A lossy decoder overshoots at bright and dark edges: cut, what is just beyond white would become black.
    """
    low, high = _range(bits, words.dtype.kind == "i")
    shift = words.dtype.itemsize * 8 - bits
    if shift <= 0 or (words.min() >= low and words.max() <= high):
        return words
    cut = (words << shift) >> shift
    if syntax.keyword in _LOSSY:
        beyond = (high - low) // 4
        cut = np.where((words > high) & (words - high <= beyond), high, cut)
        cut = np.where((words < low) & (low - words <= beyond), low, cut)
    return cut.astype(words.dtype, copy=False)
