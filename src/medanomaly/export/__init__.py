"""A tested run becomes an OpenVINO bundle, with proof that both agree."""

from medanomaly.export.bundle import ExportError, export_run
from medanomaly.export.run import Run

__all__ = ["ExportError", "Run", "export_run"]
