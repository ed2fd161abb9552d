"""The seven image sets of the MedIAnomaly benchmark, as its authors prepared them."""

from medanomaly_medianomaly.datamodule import MedIAnomaly

__all__ = ["MedIAnomaly"]
