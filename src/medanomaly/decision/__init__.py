"""How a raw score becomes a decision. The rules need numpy alone; ``OperatingPoint`` brings them to anomalib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medanomaly.decision.operating_point import OperatingPoint

__all__ = ["OperatingPoint"]


def __getattr__(name: str) -> Any:
    # Lazy, so that the edge can use the score's formula without torch.
    if name == "OperatingPoint":
        from medanomaly.decision.operating_point import OperatingPoint

        return OperatingPoint
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
