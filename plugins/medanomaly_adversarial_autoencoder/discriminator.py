"""The discriminator on the code."""

from __future__ import annotations

import torch
from torch import nn

from medanomaly import distributed

#: Added to a variance under its root, whose gradient is infinite at zero.
_LEAST = 1e-8


class Discriminator(nn.Module):
    """Tells samples of N(0, I) from codes, whatever the code's height and width.

    On a dense code (B, latent, 1, 1) it is a multilayer perceptron of the whole code. On a spatial code it looks at
    3×3 neighbourhoods and averages over them what it saw: it holds the code's local statistics to the prior, not the
    joint distribution of distant positions. That is what lets one network serve images of any size; the densities
    ``gaussian`` and ``kde`` are fitted to the joint distribution as it came out. No norm: it would hide the very scale
    that is to be matched.

    Beside each code it sees mean and standard deviation of its batch, as a minibatch-aware discriminator does (Salimans
    et al., NeurIPS 2016, sec. 3.2; the statistics are those of Karras et al., ICLR 2018, sec. 3). One that sees codes
    singly cannot tell that they all lie in one place: on a two-dimensional code their standard deviation then stayed
    between 0.1 and 0.6 and their mean wandered; with the statistics it comes to 0.9 to 1.1. Of several processes the
    batch is that of all.

    Args:
        latent: Channels of the code.
        width: Channels of the hidden layers.
    """

    def __init__(self, latent: int, width: int = 64) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(3 * latent, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(0.2),
        )
        self.whole = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Logit (B,) of being a sample of the prior, for a batch of codes (B, latent, h, w) from one source."""
        mean = distributed.batch_mean(code)
        deviation = (distributed.batch_mean((code - mean).square()) + _LEAST).sqrt()
        seen = torch.cat([code, mean.expand_as(code), deviation.expand_as(code)], dim=1)
        return self.whole(self.local(seen).mean(dim=(2, 3)))[:, 0]
