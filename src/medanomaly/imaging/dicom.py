"""DICOM files: stored values, what they measure, and how their maker meant them to be shown.

The order is the standard's (PS3.3 C.11): stored values become modality values by the modality LUT or by slope and
intercept; these become display values by the VOI LUT or window; MONOCHROME1 is turned over last. Overlays,
presentation states and colour profiles are not applied.
"""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medanomaly.imaging.codestream import check_stream
from medanomaly.imaging.errors import MAX_FRAMES, MAX_PIXELS, ImageError
from medanomaly.imaging.intensity import window
from medanomaly.imaging.picture import Picture

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: The element of the file's header that says that all after it is deflated.
_DEFLATED = re.compile(rb"\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2\.1\.99", re.DOTALL)
# pydicom warns of files that our errors name, or that are read all the same.
warnings.filterwarnings("ignore", module=r"pydicom\b")

_EXTRA = "pip install 'medanomaly[dicom]', or 'medanomaly[dicom-libjpeg]' for 12-bit JPEG"


def read_dicom(path: Path, frame: int | None = None, voi: bool = True) -> Picture:
    """Read one frame of a DICOM file.

    Args:
        path: The file.
        frame: Which frame, from 1; needed where there are several.
        voi: Whether to apply the file's first VOI LUT or else its first window, where it has one.

    Returns:
        Grey (H, W) or RGB (H, W, 3). Grey values are float32: within the range of the VOI output, else modality
        values with the range of the stored bits after rescale as depth. Padding (Pixel Padding Value) takes the
        darkest shown value of the rest. Colour keeps its stored integers.

    Raises:
        ImageError: if the file is damaged, has no pixels, declares too many, or no decoder for its compression is
            installed.
    """
    try:
        return _read(path, frame, voi)
    except ImageError:
        raise
    except Exception as error:  # pydicom and its decoders raise every kind of error on damaged files
        raise ImageError(
            f"{path}: is a damaged DICOM file ({type(error).__name__}: {' '.join(str(error).split())[:200]}). "
            "Export or send it again."
        ) from error


def count_frames(path: Path) -> int:
    """How many frames a DICOM file holds.

    Raises:
        ImageError: as for :func:`read_dicom`, as far as the header tells.
    """
    try:
        return _frame_count(path, _open(path))
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(
            f"{path}: is a damaged DICOM file ({type(error).__name__}). Export or send it again."
        ) from error


def _read(path: Path, frame: int | None, voi: bool) -> Picture:
    data = _open(path)
    count = _frame_count(path, data)
    if frame is None and count > 1:
        raise ImageError(f"{path}: holds {count} frames. Name one, as in {path.name}#frame=1.")
    if frame is not None and not 1 <= frame <= count:
        raise ImageError(f"{path}: has no frame {frame}; frames count from 1 to {count}.")
    index = (frame or 1) - 1
    stored, photometric = _stored(path, data, index, count)
    shape = (stored.shape[0], stored.shape[1])
    if photometric == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        stored = apply_color_lut(stored, data)[..., :3]
        return Picture(stored, (0.0, float(np.iinfo(stored.dtype).max)), shape)
    if photometric == "RGB" and stored.ndim == 3:
        return Picture(stored, (0.0, float(2**data.BitsStored - 1)), shape)
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or stored.ndim != 2:
        raise ImageError(f"{path}: has the photometric interpretation {photometric}. Convert it to RGB or MONOCHROME2.")
    inverted = photometric == "MONOCHROME1"
    values, depth = _modality(path, data, index, stored)
    values = _without_padding(data, stored, values, inverted)
    if voi:
        values, depth = _shown(path, data, index, values, depth)
    if not np.isfinite(values).all():
        raise ImageError(f"{path}: its rescale or window gives values that are not finite. Correct its header.")
    return Picture(values.astype(np.float32), depth, shape, inverted)


def _open(path: Path) -> Dataset:
    from pydicom import dcmread

    # From memory: a file would be asked for as many bytes as a damaged length says, and they be allocated first.
    content = path.read_bytes()
    if _DEFLATED.search(content):
        # pydicom inflates such a file whole, however large it gets, before a header can be checked.
        raise ImageError(f"{path}: is deflated DICOM, which is not read. Convert it: dcmconv +te in.dcm out.dcm")
    data = dcmread(BytesIO(content), force=False)
    if "PixelData" not in data:
        kind = getattr(data.get("SOPClassUID"), "name", "unknown kind")
        raise ImageError(f"{path}: has no pixel data ({kind}). Leave it out, or choose the series with the images.")
    rows, columns, samples = (int(data.get(key) or 0) for key in ("Rows", "Columns", "SamplesPerPixel"))
    allocated, stored = int(data.get("BitsAllocated") or 0), int(data.get("BitsStored") or 0)
    if rows < 1 or columns < 1:
        raise ImageError(f"{path}: declares a picture of {columns}×{rows} pixels. Export or send it again.")
    if rows * columns > MAX_PIXELS:
        raise ImageError(f"{path}: {columns}×{rows} is over the limit of {MAX_PIXELS} pixels.")
    if samples not in (1, 3) or allocated not in (1, 8, 16) or not 1 <= stored <= allocated:
        raise ImageError(
            f"{path}: has {samples} samples a pixel of {stored} bits in {allocated}. "
            "Readable: 1 or 3 samples of up to 16 bits."
        )
    if allocated > 1 and int(data.get("HighBit", stored - 1)) != stored - 1:
        raise ImageError(f"{path}: its values do not start at the lowest bit (HighBit {data.HighBit}). Convert it.")
    return data


def _frame_count(path: Path, data: Dataset) -> int:
    text = data.get("NumberOfFrames")
    count = 1 if text is None or text == "" else int(text)
    if not 1 <= count <= MAX_FRAMES:
        raise ImageError(f"{path}: declares {count} frames, which must lie in 1 to {MAX_FRAMES}.")
    # A compressed frame costs an item header of 8 bytes; YBR_*_422 and 420 store two thirds and half of all samples.
    compressed = data.file_meta.TransferSyntaxUID.is_encapsulated
    frame = 8 if compressed else data.Rows * data.Columns * data.SamplesPerPixel * data.BitsAllocated // 16
    if len(data.PixelData) < count * frame:
        raise ImageError(f"{path}: declares {count} frames but holds fewer. Copy or export it again.")
    return count


def _stored(path: Path, data: Dataset, index: int, count: int) -> tuple[np.ndarray, str]:
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder

    syntax = data.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(f"{path}: is compressed as {syntax.name}, which is not read. Decompress it first.") from None
    if not decoder.is_available:
        raise ImageError(f"{path}: is compressed as {syntax.name}. Its decoder comes with: {_EXTRA}")
    if syntax.is_encapsulated:
        # The decoders are C code that believes the stream, not the header that was checked above.
        fault = check_stream(
            get_frame(data.PixelData, index, number_of_frames=count), data.Columns, data.Rows, data.SamplesPerPixel
        )
        if fault:
            raise ImageError(f"{path}: its compressed picture {fault}. Export or send it again.")
    # One plugin wherever it is installed: decoders of lossy syntaxes differ by a grey level or two.
    # RLE goes to pydicom's own decoder: the one in Rust panics on damaged data, past every `except Exception`.
    plugin = next((name for name in ("pydicom", "pylibjpeg") if name in decoder.available_plugins), "")
    pixels, about = decoder.as_array(data, index=index, raw=False, decoding_plugin=plugin)
    if pixels.shape[:2] != (data.Rows, data.Columns):
        raise ImageError(f"{path}: declares {data.Columns}×{data.Rows} but holds {pixels.shape[1]}×{pixels.shape[0]}.")
    return pixels, str(about["photometric_interpretation"])


def _group(data: Dataset, index: int, sequence: str) -> Dataset:
    """Where attributes of one frame stand: its own functional group, the shared one, or (older files) the top."""
    own, shared = data.get("PerFrameFunctionalGroupsSequence"), data.get("SharedFunctionalGroupsSequence")
    for groups, place in ((own, index), (shared, 0)):
        if groups and place < len(groups) and groups[place].get(sequence):
            return groups[place][sequence][0]
    return data


def _modality(path: Path, data: Dataset, index: int, stored: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    if data.get("ModalityLUTSequence"):
        return _look_up(data, data.ModalityLUTSequence[0], stored)
    group = _group(data, index, "PixelValueTransformationSequence")
    slope, intercept = (_number(group, key, default) for key, default in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise ImageError(f"{path}: has a RescaleSlope of {slope:g}. Correct its header.")
    bits, signed = int(data.BitsStored), int(data.get("PixelRepresentation") or 0)
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low, high = sorted(end * slope + intercept for end in ends)
    if slope == 1 and intercept == 0:
        return stored.astype(np.float32), (low, high)
    return stored * slope + intercept, (low, high)


def _number(group: Dataset, key: str, default: float) -> float:
    value = group.get(key)
    return default if value is None or value == "" else float(value)


def _without_padding(data: Dataset, stored: np.ndarray, values: np.ndarray, inverted: bool) -> np.ndarray:
    padding = data.get("PixelPaddingValue")
    if padding is None:
        return values
    low, high = sorted((int(padding), int(data.get("PixelPaddingRangeLimit", padding))))
    padded = (stored >= low) & (stored <= high)
    if not padded.any() or padded.all():
        return values
    rest = values[~padded]
    return np.where(padded, rest.max() if inverted else rest.min(), values)


def _shown(
    path: Path, data: Dataset, index: int, values: np.ndarray, depth: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float]]:
    if data.get("VOILUTSequence"):
        return _look_up(data, data.VOILUTSequence[0], values)
    group = _group(data, index, "FrameVOILUTSequence")
    centre, width = (_first(group.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return values, depth
    function = str(group.get("VOILUTFunction") or "LINEAR")
    try:
        return window(values, centre, width, function), (0.0, 1.0)
    except ValueError as error:
        raise ImageError(f"{path}: {error}. Choose an intensity rule of your own, as window:centre,width.") from None


def _first(value: Any) -> float | None:
    """The first of several values, as viewers show by default; None if there is none."""
    if value is None or value == "":
        return None
    several = not isinstance(value, (str, int, float)) and hasattr(value, "__len__")
    return _first(value[0]) if several and len(value) else None if several else float(value)


def _look_up(data: Dataset, item: Dataset, values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Apply a look-up table (PS3.3 C.11.1.1): entries, first value mapped, bits an entry."""
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    entries = entries or 2**16
    if not 1 <= bits <= 16:
        raise ValueError(f"a look-up table of {bits} bits")
    table = item.LUTData
    if isinstance(table, bytes):
        narrow = len(table) < 2 * entries  # 8-bit entries, two to a word
        little = data.file_meta.TransferSyntaxUID.is_little_endian
        table = np.frombuffer(table, np.uint8 if narrow else "<u2" if little else ">u2")
    numbers = np.asarray(table, dtype=np.float32)[:entries]
    if len(numbers) < entries:
        raise ValueError(f"a look-up table of {len(numbers)} instead of {entries} entries")
    return numbers[np.clip(np.rint(values) - first, 0, entries - 1).astype(np.int64)], (0.0, float(2**bits - 1))
