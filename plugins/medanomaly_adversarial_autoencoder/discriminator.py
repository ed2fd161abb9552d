"""The discriminator on the code."""

from __future__ import annotations

import torch
from torch import nn


class Discriminator(nn.Module):
    """Tells samples of N(0, I) from codes, whatever the code's height and width.

    On a dense code (B, latent, 1, 1) it is a multilayer perceptron of the whole code. On a spatial code it looks at
    3×3 neighbourhoods and averages over them what it saw: it holds the code's local statistics to the prior, not the
    joint distribution of distant positions. That is what lets one network serve images of any size; the densities
    ``gaussian`` and ``kde`` are fitted to the joint distribution as it came out. No norm: it would hide the very scale
    that is to be matched.

    Args:
        latent: Channels of the code.
        width: Channels of the hidden layers.
    """

    def __init__(self, latent: int, width: int = 64) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(latent, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(0.2),
        )
        self.whole = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Logit (B,) of being a sample of the prior, for codes (B, latent, h, w)."""
        return self.whole(self.local(code).mean(dim=(2, 3)))[:, 0]
