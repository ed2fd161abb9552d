"""The error of a folder that is no tested run, or of a run that cannot be loaded."""

from __future__ import annotations

from medanomaly.errors import MedAnomalyError


class RunError(MedAnomalyError, ValueError):
    """A tested run cannot be read or loaded. The message names the folder or file, the cause and the remedy."""
