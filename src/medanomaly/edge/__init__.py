"""A bundle and an image become a decision. Neither torch nor anomalib is needed."""

from medanomaly.edge.bundle import Bundle, BundleError
from medanomaly.edge.detector import Detector, Failure, Result

__all__ = ["Bundle", "BundleError", "Detector", "Failure", "Result"]
