"""Decode a file to an array: choose the decoder by path, and address single frames."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from medanomaly.imaging.decoded_image import DecodedImage, three_channels
from medanomaly.imaging.dicom_head import looks_like_dicom
from medanomaly.imaging.joined_masks import several, united
from medanomaly.imaging.limits import ImageError
from medanomaly.imaging.mask import check_alpha, lossy_dicom, marked
from medanomaly.imaging.path_kinds import no_file
from medanomaly.imaging.raster import Reduction, count_pages, declared, read_raster

#: What a folder is searched for, beside DICOM files of other names; see :mod:`medanomaly.imaging.find_images`.
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm", ".ppm", ".dcm", ".dicom"})


def split_frame(path: str | Path) -> tuple[Path, int | None]:
    """Take an address apart: ``scan.dcm#frame=3`` is the file ``scan.dcm`` and the frame 3, counted from 1.

    A file whose name really ends so is meant as the file.
    """
    match = re.fullmatch(r"(.+)#frame=([0-9]{1,9})", str(path), re.DOTALL)
    if not match or os.path.isfile(path):  # noqa: PTH113 (False for names that are too long or closed)
        return Path(path), None
    return Path(match[1]), int(match[2])


def inside(root: Path, path: str | Path) -> Path:
    """``root / path``, refused when it leaves ``root`` by ``..``, an absolute path or a link.

    ``path`` may address a frame, as :func:`split_frame` reads it.

    Raises:
        ImageError: if the resolved path lies outside ``root``.
    """
    file, _ = split_frame(root / path)
    # Unlike Path.resolve, realpath takes a link that leads back to itself as it is.
    if not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root)):
        raise ImageError(f"{path}: lies outside the data folder {root}. Paths must stay inside it.")
    return root / path


def _existing(path: str | Path) -> tuple[Path, int | None]:
    file, frame = split_frame(path)
    if reason := no_file(file):
        named, mark, number = str(file).rpartition("#frame=")
        if mark and no_file(named) is None:
            raise ImageError(f"{file}: '{number}' is no frame. Frames count from 1, as in {named}{mark}1.")
        raise ImageError(f"{file}: {reason}.")
    return file, frame


def read(path: str | Path, reduction: Reduction | None = None, voi: bool = True, mask: bool = False) -> DecodedImage:
    """Read a file, told apart by its content, with what it says of its values.

    Args:
        path: A file, or the address of one frame of it.
        reduction: How far a JPEG may shrink in decoding, see :mod:`medanomaly.imaging.raster`.
        voi: Whether a DICOM's window or VOI LUT is applied; without, its modality values (HU for a CT) come back.
        mask: Whether a DICOM is meant as a mask, see :func:`~medanomaly.imaging.dicom.read_dicom`.

    Raises:
        ImageError: as for :func:`decode`.
    """
    file, frame = _existing(path)
    if looks_like_dicom(file):
        from medanomaly.imaging.dicom import read_dicom

        return read_dicom(file, frame, voi, mask)
    return read_raster(file, frame, reduction)


def declared_size(path: str | Path) -> tuple[int, int, int]:
    """Height, width and samples a pixel as stored, by the header alone: what reading will take is known before.

    Args:
        path: A file, or the address of one frame of it.

    Raises:
        ImageError: if the file is missing or no image, or its header is damaged or beyond the limits.
        Exception: pydicom raises every kind of error on damaged files.
    """
    file, frame = _existing(path)
    if looks_like_dicom(file):
        from medanomaly.imaging.dicom_open import read_header

        data = read_header(file)
        return int(data.get("Rows") or 0), int(data.get("Columns") or 0), int(data.get("SamplesPerPixel") or 1)
    return declared(file, frame)


def decode(path: str | Path) -> np.ndarray:
    """Decode an image at its stored bit depth.

    PNG, JPEG, TIFF, BMP, PGM and PPM: alpha is dropped, EXIF orientation is applied, grey is repeated over three
    channels. DICOM: as rule ``dtype`` of :class:`~medanomaly.imaging.Preprocessing` shows it, after modality LUT, VOI
    LUT or window, and with low values dark. ``path`` may address a frame (``scan.dcm#frame=3``); a file of several
    frames needs that.

    Returns:
        Array (H, W, 3), RGB, of dtype uint8 or uint16 where the file spans the whole type; else float32, in [0, 1]
        where the file declares its depth.

    Raises:
        ImageError: if the file is missing, empty, truncated, not an image, of another bit depth, over
            ``MAX_PIXELS``, without pixels, in a compression without decoder, or holds NaN or infinite values.
    """
    picture = read(path)
    plain = picture.depth is None or (picture.depth == DecodedImage.of(picture.pixels).depth and not picture.inverted)
    pixels = picture.pixels if plain and picture.pixels.dtype != np.int16 else picture.unit()
    return np.ascontiguousarray(three_channels(pixels))


def decode_mask(path: str | Path) -> np.ndarray:
    """Decode a mask: every pixel that is not black counts as marked, in any channel.

    Of a file compressed with loss (JPEG, also within TIFF or DICOM) a pixel counts above half of white. A mask is
    turned upright by its own EXIF orientation, never by its image's. Of a DICOM, 0 and padding are not marked, and a
    segmentation (SEG) is read. Several masks of one image, parted by ``|``, mark what any of them marks (see
    :mod:`medanomaly.imaging.joined_masks`).

    Returns:
        Array (H, W) of bool.

    Raises:
        ImageError: as for :func:`decode`; if a lossy file is grey where it should be black and white, values lie below
            0, or the marks stand in the transparency alone.
    """
    parts = several(path)
    if len(parts) > 1:
        return united(parts, decode_mask)
    file, frame = _existing(path)
    picture, dicom = read(path, voi=False, mask=True), looks_like_dicom(file)
    if dicom and lossy_dicom(file):
        picture = replace(read(path, voi=False), lossy=True)
    found = marked(picture, path)
    if not dicom and (found.all() or not found.any()):
        check_alpha(file, frame, path)
    return found


def frames(path: str | Path) -> list[str]:
    """The address of every frame of a file: ``[path]`` for a single one, else ``path#frame=1`` and so on.

    Raises:
        ImageError: if the file cannot be read as far as its header.
    """
    file, frame = _existing(path)
    if frame is not None:
        return [str(path)]
    if looks_like_dicom(file):
        from medanomaly.imaging.dicom import count_frames

        count = count_frames(file)
    else:
        count = count_pages(file)
    return [str(file)] if count == 1 else [f"{file}#frame={number}" for number in range(1, count + 1)]
