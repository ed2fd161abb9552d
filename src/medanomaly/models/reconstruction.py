"""Mark a reconstruction as an output of the exported graph, to show beside its input."""

from __future__ import annotations

from torch import nn


class Reconstruction(nn.Identity):
    """Passes on a reconstruction before its sigmoid, (B, 3, h, w).

    A model whose scores are computed from ``self.reconstructed(logits)`` has its reconstruction found by the export,
    and shown by the triage page. The graph computes nothing more than without.
    """


def reconstruction_of(model: nn.Module) -> Reconstruction | None:
    """A model's mark, or None for one that reconstructs nothing."""
    return next((module for module in model.modules() if isinstance(module, Reconstruction)), None)
