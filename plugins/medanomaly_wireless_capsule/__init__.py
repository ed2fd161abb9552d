"""Capsule-endoscopy frames with and without bleeding (WCEBleedGen)."""

from medanomaly_wireless_capsule.datamodule import WirelessCapsule

__all__ = ["WirelessCapsule"]
