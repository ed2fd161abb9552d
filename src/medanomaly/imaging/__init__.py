"""A file becomes a float array: the one reader that training and edge share. numpy, OpenCV and pydicom only."""

from medanomaly.imaging.decode import IMAGE_SUFFIXES, declared_size, decode, decode_mask, frames, inside, split_frame
from medanomaly.imaging.dicom_head import looks_like_dicom
from medanomaly.imaging.errors import ImageError
from medanomaly.imaging.field_of_view import View
from medanomaly.imaging.overlay import heat_layer, outline, overlay
from medanomaly.imaging.passed_over import PassedOver
from medanomaly.imaging.place import Place
from medanomaly.imaging.reading import Reading
from medanomaly.imaging.search import Found, search
from medanomaly.imaging.several import joined, several

__all__ = [
    "IMAGE_SUFFIXES",
    "Found",
    "ImageError",
    "PassedOver",
    "Place",
    "Reading",
    "View",
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
