"""Modality values, padding and VOI window of a grey DICOM frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medanomaly.imaging.banded_resize import bands
from medanomaly.imaging.dicom_open import Opened
from medanomaly.imaging.dicom_pixels import stored_range
from medanomaly.imaging.dicom_tables import look_up, other_signedness
from medanomaly.imaging.intensity import window
from medanomaly.imaging.limits import ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Values, and those of black and of white by the file; None where floats declare none.
Values = tuple[np.ndarray, tuple[float, float] | None]


def modality(opened: Opened, index: int, stored: np.ndarray) -> Values:
    """Apply the modality LUT, or slope and intercept of the frame.

    Raises:
        ImageError: for a slope or intercept that is no number, not finite, or a slope of 0.
    """
    data, floats = opened.data, stored.dtype.kind == "f"
    if data.get("ModalityLUTSequence") and not floats:
        values, white = look_up(data.ModalityLUTSequence[0], stored, stored_range(opened), _little(opened))
        return values, (0.0, white)
    group = _group(data, index, "PixelValueTransformationSequence")
    slope, intercept = _number(opened, group, "RescaleSlope", 1), _number(opened, group, "RescaleIntercept", 0)
    if slope == 0:
        raise ImageError(f"{opened.path}: has a RescaleSlope of 0. Correct its header.")
    plain = slope == 1 and intercept == 0
    # Whole numbers of 16 bits fit into float32; those of 32 do not, and a window may lie far from 0.
    values = (stored if stored.itemsize > 2 else stored.astype(np.float32)) if plain else stored * slope + intercept
    if floats:
        return values, None
    low, high = sorted(end * slope + intercept for end in stored_range(opened))
    return values, (low, high)


def padding(opened: Opened, stored: np.ndarray, words: np.ndarray) -> np.ndarray | None:
    """Where the pixels are padding (PS3.3 C.7.5.1.1.2): (H, W) of bool, or None where none is.

    A padding value of the other signedness than the pixels, and one that uses bits above those stored, is met by what
    the file's words are.
    """
    data = opened.data
    floats = stored.dtype.kind == "f"
    name = (opened.keyword.removesuffix("PixelData") if floats else "") + "PixelPadding"
    value, limit = (_padding_number(opened, name + end) for end in ("Value", "RangeLimit"))
    if value is None:
        return None
    limit = value if limit is None else limit
    if floats:
        low, high = sorted((value, limit))
        padded = np.isnan(stored) if np.isnan(value) else (stored >= low) & (stored <= high)
        return padded if padded.any() else None
    signed, bits = stored.dtype.kind == "i", int(data.BitsStored)
    padded = np.zeros(stored.shape, bool)
    info = np.iinfo(words.dtype)
    for pixels, (least, most) in ((stored, stored_range(opened)), (words, (int(info.min), int(info.max)))):
        first, last = sorted(_fitted(int(end), least, most, bits if signed else 0) for end in (value, limit))
        if least <= first and last <= most:
            padded |= (pixels >= first) & (pixels <= last)
    return padded if padded.any() else None


def _fitted(value: int, low: int, high: int, bits: int) -> int:
    value = other_signedness(value, low, high)
    # Signed values written as the unsigned number of their own bits: 2096 for -2000 of 12.
    return value - 2**bits if bits and value > high and low <= value - 2**bits <= high else value


def _padding_number(opened: Opened, key: str) -> float | None:
    value = opened.data.get(key)
    if isinstance(value, bytes):  # of a representation that the file does not name (UN)
        value = int.from_bytes(value[:2], "little" if _little(opened) else "big") if value else None
    elif value is not None and not isinstance(value, (str, int, float)):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)


def values_of(
    opened: Opened, index: int, stored: np.ndarray, padded: np.ndarray | None, inverted: bool, voi: bool
) -> Values:
    """From stored values to those of the modality, or to what is shown: float32 (H, W).

    Integers go by bands of rows, as every step is one of single pixels: on the way a large picture would take several
    copies in 64 bits. Floats declare no range, and a table then spans that of the whole.

    Args:
        opened: The file.
        index: The frame, from 0.
        stored: Its values as stored.
        padded: Where they are padding, as :func:`padding` says.
        inverted: Whether low values are bright.
        voi: Whether the file's VOI LUT or window is applied.

    Raises:
        ImageError: as for :func:`modality` and :func:`shown`.
    """
    height = stored.shape[0]
    parts = [slice(0, height)] if stored.dtype.kind == "f" else list(bands(height, stored.shape[1]))

    dark = None if padded is None else _dark(opened, index, stored, padded, inverted, parts)
    made, depth = np.empty(stored.shape, np.float32), None
    for part in parts:
        values, depth = modality(opened, index, stored[part])
        if padded is not None and dark is not None:
            values = np.where(padded[part], dark, values)
        made[part], depth = shown(opened, index, values, depth) if voi else (values, depth)
    return made, depth


def _dark(
    opened: Opened, index: int, stored: np.ndarray, padded: np.ndarray, inverted: bool, parts: list[slice]
) -> np.generic | None:
    """What padding takes, so that it is dark and stretches nothing: the darkest value of the rest.

    None where the rest is of one value: the picture is of padding and that, and nothing would be seen without.
    """
    rest = (modality(opened, index, stored[part])[0][~padded[part]] for part in parts)
    ends = [(values.min(), values.max()) for values in rest if values.size]
    if not ends:
        return None
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low == high:
        return None
    return high if inverted else low


def shown(opened: Opened, index: int, values: np.ndarray, depth: tuple[float, float] | None) -> Values:
    """Apply the first VOI LUT, or else the first window of the frame, where there is one.

    Raises:
        ImageError: for a window that its function does not allow.
    """
    data, path = opened.data, opened.path
    group = _group(data, index, "FrameVOILUTSequence")
    tables = group.get("VOILUTSequence") or data.get("VOILUTSequence")
    if tables:
        span = depth or (float(values.min()), float(values.max()))
        found, white = look_up(tables[0], values, span, _little(opened))
        return found, (0.0, white)
    centre, width = (_first(opened, group, key) for key in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return values, depth
    function = str(group.get("VOILUTFunction") or "LINEAR").strip().upper()
    if values.dtype.itemsize > 4 or values.dtype.kind != "f":  # float32 would cut numbers far from 0
        values, shift = values.astype(np.float64) - centre, centre
    else:
        shift = 0.0
    try:
        return window(values, centre - shift, width, function), (0.0, 1.0)
    except ValueError as error:
        raise ImageError(f"{path}: {error}. Choose an intensity rule of your own, as window:centre,width.") from None


def _little(opened: Opened) -> bool:
    return bool(opened.syntax.is_little_endian)


def _group(data: Dataset, index: int, sequence: str) -> Dataset:
    """Where attributes of one frame stand: its own functional group, the shared one, or (older files) the top."""
    own, shared = data.get("PerFrameFunctionalGroupsSequence"), data.get("SharedFunctionalGroupsSequence")
    for groups, place in ((own, index), (shared, 0)):
        if groups and place < len(groups) and groups[place].get(sequence):
            return groups[place][sequence][0]
    return data


def _number(opened: Opened, group: Dataset, key: str, default: float) -> float:
    """A single number of the header.

    Raises:
        ImageError: if it is none, or not finite.
    """
    value = _first(opened, group, key)
    return default if value is None else value


def _first(opened: Opened, group: Dataset, key: str) -> float | None:
    """The first of several numbers, as viewers show by default; None if there is none."""
    try:
        value: Any = group.get(key)
        if value is not None and not isinstance(value, (str, int, float)) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError):  # pydicom reads numbers only where they are asked for
        raise ImageError(f"{opened.path}: has a {key} that is no number. Correct its header.") from None
    if number is not None and not np.isfinite(number):
        raise ImageError(f"{opened.path}: has a {key} of {number:g}. Correct its header.")
    return number
