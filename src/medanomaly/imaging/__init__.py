"""Decode and prepare images: a file becomes a float array, by one way for training and edge. No torch, scipy or pandas.

Look first into :mod:`.preprocessing` (intensity, field of view, size) and :mod:`.decode`, which chooses the decoder:
``dicom*`` for DICOM (:mod:`.dicom_values` applies its window), ``tiff*``, :mod:`.pnm`, :mod:`.raster` for the rest.
:mod:`.intensity` and :mod:`.field_of_view` are the rules, and :mod:`.find_images` searches folders.
"""

from medanomaly._moved import old_names
from medanomaly.imaging.decode import IMAGE_SUFFIXES, declared_size, decode, decode_mask, frames, inside, split_frame
from medanomaly.imaging.dicom_head import looks_like_dicom
from medanomaly.imaging.field_of_view import CropBox
from medanomaly.imaging.find_images import Found, search
from medanomaly.imaging.joined_masks import joined, several
from medanomaly.imaging.limits import ImageError
from medanomaly.imaging.overlay import heat_layer, outline, overlay
from medanomaly.imaging.placement import Placement
from medanomaly.imaging.preprocessing import Preprocessing
from medanomaly.imaging.skipped_files import PassedOver

__all__ = [
    "IMAGE_SUFFIXES",
    "CropBox",
    "Found",
    "ImageError",
    "PassedOver",
    "Placement",
    "Preprocessing",
    "declared_size",
    "decode",
    "decode_mask",
    "frames",
    "heat_layer",
    "inside",
    "joined",
    "looks_like_dicom",
    "outline",
    "overlay",
    "search",
    "several",
    "split_frame",
]

__getattr__ = old_names(__name__)
