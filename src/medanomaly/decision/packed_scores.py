"""Pack validation scores into one tensor of the checkpoint, so that they stay with the weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch


def pack_scores(rows: dict[str, Any]) -> torch.Tensor:
    """Columns of plain values as a byte tensor (k,): JSON, which keeps paths and 32-bit scores exactly."""
    return torch.from_numpy(np.frombuffer(json.dumps(rows).encode(), dtype=np.uint8).copy())


def unpack_scores(packed: torch.Tensor) -> dict[str, Any]:
    """The columns back; {} of an empty tensor."""
    return json.loads(packed.cpu().numpy().tobytes()) if packed.numel() else {}
