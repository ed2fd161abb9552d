"""anomalib's wrapper for a transform that can be exported; its documentation does not name it."""

from anomalib.pre_processing.utils.transform import convert_center_crop_transform

__all__ = ["convert_center_crop_transform"]
