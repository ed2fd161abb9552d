"""Mammograms: the RSNA screening set of 2022 (DICOM), and mini-MIAS."""

from medanomaly_mammography.datamodule import Mammography

__all__ = ["Mammography"]
