"""Read a checkpoint as anomalib does, without running code in it; its documentation does not name these."""

from anomalib.engine.plugins import AnomalibCheckpointIO
from anomalib.utils.serialization import anomalib_safe_globals

__all__ = ["AnomalibCheckpointIO", "anomalib_safe_globals"]
