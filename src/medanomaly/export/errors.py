"""The error of a run that cannot be exported."""

from __future__ import annotations

from medanomaly.errors import MedAnomalyError


class ExportError(MedAnomalyError, ValueError):
    """A run cannot be exported. The message says why and what to do."""
