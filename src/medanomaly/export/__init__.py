"""A tested run becomes an OpenVINO bundle, with proof that both agree."""

from medanomaly._moved import old_names
from medanomaly.export.errors import ExportError
from medanomaly.export.write_bundle import export_run

__all__ = ["ExportError", "export_run"]

__getattr__ = old_names(__name__)
