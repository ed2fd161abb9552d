"""How a raw score becomes a decision. The rules need numpy alone; ``OperatingPoint`` brings them to anomalib.

Look first into :mod:`.rule_table` (the rules) and :mod:`.threshold_rules` (how each chooses its threshold);
:mod:`.rules` applies them, :mod:`.operating_point` fits them on validation images, and :mod:`.decision_function`
decides by a recorded operating point, at the edge too.
"""

from typing import TYPE_CHECKING

from medanomaly.registry import lazy_names

if TYPE_CHECKING:
    from medanomaly.decision.operating_point import OperatingPoint

__all__ = ["OperatingPoint"]

# Lazy, so that the edge can use the score's formula without torch.
__getattr__ = lazy_names(__name__, {"OperatingPoint": "operating_point"})
