"""Export a tested run as an OpenVINO bundle, with proof that both agree: ``export_run``.

Look first into :mod:`.write_bundle`, which calls the steps in order: :mod:`.convert` the graph, :mod:`.parity` and
:mod:`.gate` to compare scores, :mod:`.precision` for ``int8`` and ``bf16``.
"""

from medanomaly._moved import old_names
from medanomaly.export.errors import ExportError
from medanomaly.export.write_bundle import export_run

__all__ = ["ExportError", "export_run"]

__getattr__ = old_names(__name__)
