"""A file becomes a float array: the one reader that training and edge share. numpy and OpenCV only."""

from medanomaly.imaging.decode import IMAGE_SUFFIXES, ImageError, decode, decode_mask, inside
from medanomaly.imaging.overlay import outline, overlay
from medanomaly.imaging.reading import Reading

__all__ = ["IMAGE_SUFFIXES", "ImageError", "Reading", "decode", "decode_mask", "inside", "outline", "overlay"]
