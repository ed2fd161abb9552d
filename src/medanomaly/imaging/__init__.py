"""A file becomes a float array: the one reader that training and edge share. numpy, OpenCV and pydicom only."""

from medanomaly.imaging.decode import IMAGE_SUFFIXES, decode, decode_mask, frames, inside, split_frame
from medanomaly.imaging.errors import ImageError
from medanomaly.imaging.field_of_view import View
from medanomaly.imaging.overlay import heat_layer, outline, overlay
from medanomaly.imaging.place import Place
from medanomaly.imaging.reading import Reading

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageError",
    "Place",
    "Reading",
    "View",
    "decode",
    "decode_mask",
    "frames",
    "heat_layer",
    "inside",
    "outline",
    "overlay",
    "split_frame",
]
