"""Decode DICOM files: stored values, what they measure, and their display as their maker meant it.

The order is the standard's (PS3.3 C.11): stored values become modality values by the modality LUT or by slope and
intercept; these become display values by the VOI LUT or window; MONOCHROME1 is turned over last. Overlays,
presentation states and colour profiles are not applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.dicom_kinds import SEGMENTATIONS, not_to_score, sop_class
from medanomaly.imaging.dicom_open import Opened, open_dicom
from medanomaly.imaging.dicom_pixels import stored_range, stored_values
from medanomaly.imaging.dicom_tables import TableError, colours
from medanomaly.imaging.dicom_values import padding, values_of
from medanomaly.imaging.limits import ImageError


def read_dicom(path: Path, frame: int | None = None, voi: bool = True, mask: bool = False) -> DecodedImage:
    """Read one frame of a DICOM file.

    Args:
        path: The file.
        frame: Which frame, from 1; needed where there are several.
        voi: Whether to apply the file's first VOI LUT or else its first window, where it has one.
        mask: Whether the file marks pixels: a segmentation is read then, and of a grey frame comes back what is marked.

    Returns:
        Grey (H, W) or RGB (H, W, 3). Grey values are float32: within the range of the VOI output, else modality
        values with the range of the stored bits after rescale as depth (none for pixels of floats). Padding (Pixel
        Padding Value) takes the darkest shown value of the rest. Colour keeps its stored integers; those of 32 bits
        become float32. A grey mask is uint8: 1 where the stored value is neither 0 (MONOCHROME1: the largest) nor
        padding; of a fractional segmentation, from half of its largest value on.

    Raises:
        ImageError: if the file is damaged, is no image, has no pixels, declares too many, or no decoder for its
            compression is installed.
    """
    with _named(path):
        opened = open_dicom(path, mask)
        if frame is None and opened.count > 1:
            raise ImageError(f"{path}: holds {opened.count} frames. Name one, as in {path.name}#frame=1.")
        if frame is not None and not 1 <= frame <= opened.count:
            raise ImageError(f"{path}: has no frame {frame}; frames count from 1 to {opened.count}.")
        return _read(opened, (frame or 1) - 1, voi, mask)


def count_frames(path: Path) -> int:
    """How many frames a DICOM file holds.

    Raises:
        ImageError: as for :func:`read_dicom`, as far as the header tells.
    """
    with _named(path):
        return open_dicom(path, mask=False).count


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Every fault as an error that names the file."""
    try:
        yield
    except ImageError:
        raise
    except TableError as error:
        raise ImageError(f"{path}: {error}. Correct its header, or export it again.") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # pydicom and its decoders raise every kind of error on damaged files
        raise ImageError(
            f"{path}: is a damaged DICOM file ({type(error).__name__}: {' '.join(str(error).split())[:200]}). "
            "Export or send it again."
        ) from error


def _read(opened: Opened, index: int, voi: bool, mask: bool) -> DecodedImage:
    path, data = opened.path, opened.data
    stored, words, photometric = stored_values(opened, index)
    shape = (stored.shape[0], stored.shape[1])
    label_map = mask and sop_class(data) in SEGMENTATIONS
    if photometric == "PALETTE COLOR" and not label_map:
        pixels = colours(data, stored, stored_range(opened), bool(opened.syntax.is_little_endian))
        return DecodedImage(pixels, (0.0, float(np.iinfo(pixels.dtype).max)), shape)
    if photometric == "RGB" and stored.ndim == 3:
        white = float(2 ** int(data.BitsStored) - 1)
        return DecodedImage(stored if stored.itemsize < 4 else stored.astype(np.float32), (0.0, white), shape)
    if stored.ndim != 2 or not (label_map or photometric in ("MONOCHROME1", "MONOCHROME2")):
        raise ImageError(f"{path}: has the photometric interpretation {photometric}. Convert it to RGB or MONOCHROME2.")
    inverted, padded = photometric == "MONOCHROME1", padding(opened, stored, words)
    if mask:
        return DecodedImage(_marked(opened, stored, padded, inverted).astype(np.uint8), (0.0, 1.0), shape)
    values, depth = values_of(opened, index, stored, padded, inverted, voi)
    if not np.isfinite(values).all():
        raise ImageError(f"{path}: holds pixels that are not finite, or its header makes them so. Correct it.")
    return DecodedImage(values, depth, shape, inverted, no_image=not_to_score(data) or "")


def _marked(opened: Opened, stored: np.ndarray, padded: np.ndarray | None, inverted: bool) -> np.ndarray:
    data = opened.data
    if data.get("SegmentationType") == "FRACTIONAL":
        return stored * 2.0 >= float(data.get("MaximumFractionalValue") or 255)
    marked = stored != (stored_range(opened)[1] if inverted and stored.dtype.kind != "f" else 0)
    # Headers copied from the image may name as padding what the mask marks with.
    rest = marked if padded is None else marked & ~padded
    return rest if rest.any() else marked
