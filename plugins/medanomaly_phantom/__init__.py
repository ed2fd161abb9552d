"""Drawn capsule-endoscopy-like frames with bleeding and exact masks: needs no download."""

from medanomaly_phantom.datamodule import Phantom

__all__ = ["Phantom"]
