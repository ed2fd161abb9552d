"""A bundle and an image become a decision. Neither torch nor anomalib is needed."""

from medanomaly.edge.bundle import Bundle, BundleError
from medanomaly.edge.detector import Detector
from medanomaly.edge.result import Failure, Frame, Result

__all__ = ["Bundle", "BundleError", "Detector", "Failure", "Frame", "Result"]
