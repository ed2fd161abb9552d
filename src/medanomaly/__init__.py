"""Anomaly detection for medical images on anomalib.

Importing this package loads neither torch nor anomalib: ``medanomaly.edge`` and ``medanomaly.imaging`` run on the base
install, everything else is reached when it is asked for.
"""

from __future__ import annotations

from medanomaly import _moved
from medanomaly.errors import MedAnomalyError

__version__ = "0.2.0.dev0"

__all__ = ["MedAnomalyError", "__version__", "register"]

_moved.install()


def register() -> None:
    """Make every installed plugin known to anomalib's own ``get_model``, ``get_datamodule`` and ``list_models``."""
    from medanomaly.registry import register as _register

    _register()
