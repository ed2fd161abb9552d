"""Files to arrays, at the bit depth they were stored in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})

#: Refuse images of more pixels: a small file can declare a huge picture.
MAX_PIXELS = 100_000_000

# OpenCV writes its own complaints about broken files to stderr; ours name the file and the remedy.
if hasattr(cv2, "utils") and hasattr(cv2.utils, "logging"):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class ImageError(ValueError):
    """An image cannot be used. The message names the file, what is wrong, and what to do."""


def inside(root: Path, path: str | Path) -> Path:
    """``root / path``, refused when it leaves ``root`` by ``..``, an absolute path or a link.

    Raises:
        ImageError: if the resolved path lies outside ``root``.
    """
    full = (root / path).resolve()
    if not full.is_relative_to(root.resolve()):
        raise ImageError(f"{path}: lies outside the data folder {root}. Paths must stay inside it.")
    return root / path


def _bytes(path: Path) -> np.ndarray:
    if not path.is_file():
        what = "is a directory, not an image" if path.is_dir() else "does not exist"
        raise ImageError(f"{path}: {what}.")
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error
    if data.size == 0:
        raise ImageError(f"{path}: is empty (0 bytes). Copy or export it again.")
    return data


def _check_complete(path: Path, data: np.ndarray) -> None:
    # OpenCV fills the missing part of a truncated JPEG or PNG with grey and says nothing: look for the end marker.
    head = data[:8].tobytes()
    for magic, end in ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND")):
        if head.startswith(magic) and data.tobytes().rfind(end) < 0:
            raise ImageError(f"{path}: is truncated (its end marker is missing). Copy or export it again.")


def _imdecode(path: Path, flags: int) -> np.ndarray:
    data = _bytes(path)
    _check_complete(path, data)
    try:
        image = cv2.imdecode(data, flags)
        if image is None:  # OpenCV turns float TIFFs into colour for nobody
            image = _three_channels(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), flags)
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be decoded ({error.err or 'OpenCV error'}). Export it again.") from error
    if image is None or image.size == 0:
        raise ImageError(
            f"{path}: is not a readable image, or is truncated. "
            f"Readable: {', '.join(sorted(s[1:] for s in IMAGE_SUFFIXES))}; 8 or 16 bit, grey or colour."
        )
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError(f"{path}: {image.shape[1]}×{image.shape[0]} is over the limit of {MAX_PIXELS} pixels.")
    return image


def _three_channels(image: np.ndarray | None, flags: int) -> np.ndarray | None:
    if image is None or not flags & cv2.IMREAD_COLOR:
        return image
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else np.ascontiguousarray(image[:, :, :3])


def decode(path: str | Path) -> np.ndarray:
    """Decode an image at its stored bit depth.

    PNG, JPEG and TIFF, 8 or 16 bit unsigned or 32-bit float, grey or colour; alpha is dropped, EXIF orientation is
    applied, grey is repeated over three channels.

    Returns:
        Array (H, W, 3), RGB, of dtype uint8, uint16 or float32.

    Raises:
        ImageError: if the file is missing, empty, truncated, not an image, of another bit depth, over
            ``MAX_PIXELS``, or holds NaN or infinite values.
    """
    path = Path(path)
    image = _imdecode(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"{path}: has pixels of type {image.dtype}. Save it as 8- or 16-bit unsigned or 32-bit float.")
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise ImageError(f"{path}: holds NaN or infinite pixels. Replace them before use.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_mask(path: str | Path) -> np.ndarray:
    """Decode a mask: every pixel above zero counts as marked.

    Returns:
        Array (H, W) of bool.

    Raises:
        ImageError: as for :func:`decode`.
    """
    return _imdecode(Path(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE) > 0
