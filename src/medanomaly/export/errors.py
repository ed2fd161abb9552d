"""The error of a run that cannot be exported."""

from __future__ import annotations


class ExportError(ValueError):
    """A run cannot be exported. The message says why and what to do."""
