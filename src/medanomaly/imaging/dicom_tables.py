"""Apply look-up tables of DICOM: modality and display (PS3.3 C.11), palettes (C.7.6.3.1.5, C.7.9.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from medanomaly.errors import MedAnomalyError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_COLOURS = ("Red", "Green", "Blue")
_MOST = 2**16


class TableError(MedAnomalyError, ValueError):
    """A table that cannot be used. Says what is wrong, without the file's name."""


def other_signedness(value: int, low: int, high: int) -> int:
    """A 16-bit number whose representation was written with the other signedness, brought into its range if it fits.

    Pixel padding and first values of tables follow the signedness of the pixels; many writers put 63536 for -2000.
    """
    for candidate in (value, value - 65536, value + 65536):
        if low <= candidate <= high:
            return candidate
    return value


def look_up(item: Dataset, values: np.ndarray, span: tuple[float, float], little: bool) -> tuple[np.ndarray, float]:
    """Apply the table of an item of Modality or VOI LUT Sequence.

    Args:
        item: With LUT Descriptor (entries, first value mapped, bits an entry) and LUT Data.
        values: Any shape; rounded, those beyond the table take its ends.
        span: Smallest and largest value that can come.
        little: Whether words of the file are little-endian.

    Returns:
        float32 of the same shape, and the largest number of the table's bits.

    Raises:
        TableError: if the table is damaged, or maps no value that can come.
    """
    entries, first, bits = _descriptor(item.get("LUTDescriptor"), span)
    numbers = _numbers(item.get("LUTData"), entries, little)
    if numbers.max() > 2**bits - 1:
        bits = 16
    at = np.clip(np.rint(values) - first, 0, entries - 1).astype(np.int64)
    return numbers.astype(np.float32)[at], float(2**bits - 1)


def colours(data: Dataset, stored: np.ndarray, span: tuple[float, float], little: bool) -> np.ndarray:
    """Apply the palette of a PALETTE COLOR image; its alpha is dropped.

    A palette declared with 8 bits may be stored in words of 16 (PS3.3 C.7.6.3.1.5); its numbers decide then.

    Returns:
        (H, W, 3) uint8 or uint16, by the bits that the palette declares.

    Raises:
        TableError: if there is no palette, it is damaged, or maps no value that can come.
    """
    planes, depth = [], 8
    for colour in _COLOURS:
        entries, first, bits = _descriptor(data.get(f"{colour}PaletteColorLookupTableDescriptor"), span)
        plain = data.get(f"{colour}PaletteColorLookupTableData")
        if plain:
            numbers = _numbers(plain, entries, little)
        else:
            segments = data.get(f"Segmented{colour}PaletteColorLookupTableData")
            numbers = _expanded(_segments(segments, bits, little), entries, bits > 8)
        if numbers.dtype == np.uint16 and (bits > 8 or numbers.max() > 255):
            depth = 16
        planes.append(numbers[np.clip(stored.astype(np.int64) - first, 0, entries - 1)])
    return np.stack(planes, axis=-1).astype(np.uint8 if depth == 8 else np.uint16)


def _descriptor(value: Any, span: tuple[float, float]) -> tuple[int, int, int]:
    try:
        entries, first, bits = (int(number) for number in value)
    except (TypeError, ValueError):
        raise TableError("has a look-up table without a descriptor") from None
    # Read as signed, where the pixels are, 65,535 entries come as -1.
    entries, bits = (entries & 0xFFFF) or _MOST, bits & 0xFFFF
    if not 1 <= bits <= 16:
        raise TableError(f"has a look-up table of {bits} bits")
    low, high = span
    for candidate in (first, first - 65536, first + 65536):
        if candidate <= high and candidate + entries - 1 >= low:
            return entries, candidate, bits
    raise TableError(
        f"has a look-up table for the values {first} to {first + entries - 1}, where its pixels lie in "
        f"{low:g} to {high:g}: all would come out the same"
    )


def _numbers(value: Any, entries: int, little: bool) -> np.ndarray:
    """Entries of a table, uint8 or uint16."""
    numbers: np.ndarray
    if isinstance(value, bytes):
        if len(value) >= 2 * entries:
            numbers = np.frombuffer(value, "<u2" if little else ">u2", entries).astype(np.uint16)
        else:  # entries of a byte, two to a word
            words = np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little else ">u2").astype("<u2")
            numbers = np.frombuffer(words.tobytes() + value[len(words) * 2 :], np.uint8)[:entries]
    else:
        listed = [value] if isinstance(value, int) else list(value or ())
        numbers = np.asarray(listed[:entries], np.int64).astype(np.uint16)
    if len(numbers) < entries:
        raise TableError(f"has a look-up table of {len(numbers)} instead of {entries} entries")
    return numbers


def _segments(value: Any, bits: int, little: bool) -> tuple[int, ...]:
    if not isinstance(value, bytes) or not value:
        raise TableError("has no palette for one of its colours")
    order = "<" if little else ">"
    if bits > 8:
        return struct.unpack(f"{order}{len(value) // 2}H", value[: len(value) // 2 * 2])
    words = struct.unpack(f"{order}{len(value) // 2}H", value[: len(value) // 2 * 2])
    return tuple(struct.pack(f"<{len(words)}H", *words) + value[len(words) * 2 :])


def _expanded(data: tuple[int, ...], entries: int, wide: bool) -> np.ndarray:
    """Segments as entries: runs as they stand, straight lines, and repeats of earlier segments (PS3.3 C.7.9.2)."""
    found: list[int] = []
    place = 0
    while place + 1 < len(data) and len(found) < entries:
        place = _segment(data, place, found, wide, nested=False)
    if len(found) < entries:
        raise TableError(f"has a segmented palette of {len(found)} instead of {entries} entries")
    return np.asarray(found[:entries], np.uint16 if wide else np.uint8)


def _segment(data: tuple[int, ...], place: int, found: list[int], wide: bool, nested: bool) -> int:
    """Append one segment; the place after it."""
    try:
        code, length = data[place], data[place + 1]
        place += 2
        if code == 0:
            found.extend(data[place : place + length])
            return place + length
        if code == 1 and found:
            start, end = found[-1], data[place]
            line = np.around(np.linspace(start, end, length + 1)[1:])
            found.extend(int(number) for number in line)
            return place + 1
        if code == 2 and found and not nested:
            if wide:
                offset, after = data[place] | data[place + 1] << 16, place + 2
                offset //= 2  # bytes to words
            else:
                offset, after = sum(data[place + byte] << 8 * byte for byte in range(4)), place + 4
            for _ in range(length):
                offset = _segment(data, offset, found, wide, nested=True)
                if len(found) > _MOST:
                    break
            return after
    except IndexError:
        raise TableError("has a segmented palette that ends early") from None
    raise TableError(f"has a segmented palette with the segment type {code} out of place")
