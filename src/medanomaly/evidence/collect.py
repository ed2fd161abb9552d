"""From predictions to the evidence record: every number of the report, as plain JSON values."""

from __future__ import annotations

from medanomaly.evidence.estimates import number
from medanomaly.evidence.image_figures import image_metrics

__all__ = ["SCHEMA", "image_metrics", "number"]

SCHEMA = 1
