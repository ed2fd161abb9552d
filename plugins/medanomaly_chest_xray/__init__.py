"""Chest radiographs: NIH ChestX-ray14, Kermany's paediatric films, and two-folder copies."""

from medanomaly_chest_xray.datamodule import ChestXray

__all__ = ["ChestXray"]
