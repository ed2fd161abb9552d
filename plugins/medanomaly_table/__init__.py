"""Any CSV of path, label, group, split and mask."""

from medanomaly_table.datamodule import Table

__all__ = ["Table"]
