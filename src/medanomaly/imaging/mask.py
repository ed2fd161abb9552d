"""Decode a mask: which pixels of its file are marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medanomaly.imaging.decoded_image import DecodedImage
from medanomaly.imaging.limits import ImageError
from medanomaly.imaging.raster import alpha_of

#: Share of white up to which a file compressed with loss that is all of one grey is taken to be black.
_BLACK = 0.1

#: Baseline and extended JPEG in DICOM, which always lose; of other syntaxes their header says whether they did.
_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66."


def marked(picture: DecodedImage, name: str | Path) -> np.ndarray:
    """The marked pixels of a mask: what is not black; of a file compressed with loss, what lies above half of white.

    Loss leaves noise about every edge: above black, dots of 4 pixels became twice as large and ten of them seventy
    regions.

    Args:
        picture: As read, without window.
        name: What errors call it.

    Returns:
        (H, W) of bool.

    Raises:
        ImageError: if a lossy file has no pixel above half and is not all black, or signed values lie below 0.
    """
    pixels = picture.pixels
    black, white = picture.depth or (0.0, 1.0)
    if pixels.dtype == np.int16:  # the lowest value of a signed type is nobody's black
        if pixels.min() < 0:
            raise ImageError(f"{name}: as a mask it holds values below 0. Save it with 0 for what is not marked.")
        black = 0.0
    if picture.inverted:
        pixels, black, white = -pixels.astype(np.float32), -white, -black
    above = pixels > ((black + white) / 2 if picture.lossy else black)
    found = np.asarray(above.any(axis=2) if above.ndim == 3 else above)
    if picture.lossy and not found.any():
        brightest = (float(pixels.max()) - black) / (white - black)
        if brightest > _BLACK or pixels.min() != pixels.max():
            raise ImageError(
                f"{name}: its brightest pixel has {brightest:.0%} of white. In a file compressed with loss that is no "
                "mark. Save the mask as PNG, or in black and white."
            )
    return found


def check_alpha(file: Path, frame: int | None, name: str | Path) -> None:
    """Refuse a PNG or TIFF whose colours mark all or nothing while its transparency differs from pixel to pixel.

    Raises:
        ImageError: then.
    """
    alpha = alpha_of(file, frame)
    if alpha is not None and alpha.min() != alpha.max():
        raise ImageError(
            f"{name}: its colours mark all or nothing, and only its transparency (alpha) differs from pixel to pixel. "
            "Save the mask in black and white without alpha."
        )


def lossy_dicom(file: Path) -> bool:
    """Whether a DICOM image was ever compressed with loss, as its header has to say from then on.

    A segmentation (SEG) is not meant: its header speaks of the image that it was drawn on.

    Args:
        file: A file whose pixels were read already, so that its header is whole.
    """
    from pydicom import dcmread

    tags = ["LossyImageCompression", "SOPClassUID"]
    data = dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
    if str(data.get("SOPClassUID") or "").startswith(_SEGMENTATION):
        return False
    syntax = str(getattr(data.file_meta, "TransferSyntaxUID", ""))
    return syntax in _LOSSY or str(data.get("LossyImageCompression") or "") == "01"
