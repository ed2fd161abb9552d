"""Residual autoencoder that can be trained from its code outwards."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly.models.blocks import conv_block


class Residual(nn.Module):
    """Two convolutions beside a 1×1 one; ``first`` and ``resize`` change the size, the sum is divided by √2."""

    def __init__(self, first: nn.Module, resize: nn.Module, channels: int, out: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_block(first, out, norm), nn.Conv2d(out, out, 3, padding=1))
        self.skip = nn.Sequential(resize, nn.Conv2d(channels, out, 1))
        self.up = isinstance(resize, nn.Upsample)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of twice or half the size, (B, out, 2h, 2w) or (B, out, h/2, w/2)."""
        skip = self.skip(x)
        body = self.body(F.interpolate(x, scale_factor=2, mode="nearest") if self.up else x)
        return F.leaky_relu((skip + body) / math.sqrt(2), 0.2)


class ResidualAutoencoder(nn.Module):
    """Encoder and decoder of residual blocks with a spatial code, and growth (Karras et al., ICLR 2018, figure 2).

    Partly grown, only the stages nearest to the code are used, on a smaller image; a new stage is faded in.

    Args:
        stages: Number of halvings.
        width: Channels of the first stage; each further stage has twice as many, at most eight times ``width``.
        latent: Channels of the code.
        norm: ``group`` or ``none``.
        progressive: Whether it is to grow; without, it has the layers of the full size alone.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(self, stages: int, width: int, latent: int, norm: str, progressive: bool) -> None:
        super().__init__()
        if min(stages, width, latent) < 1:
            raise ValueError(f"need stages, width, latent >= 1; got stages={stages}, width={width}, latent={latent}")
        outer = [min(width * 2 ** max(0, i - 1), width * 8) for i in range(stages)]
        inner = [min(width * 2**i, width * 8) for i in range(stages)]
        self.stages, self.factor = stages, 2**stages
        pairs = list(zip(outer, inner, strict=True))
        self.down = nn.ModuleList(
            Residual(nn.Conv2d(o, i, 4, stride=2, padding=1), nn.AvgPool2d(2), o, i, norm) for o, i in pairs
        )
        self.up = nn.ModuleList(
            Residual(nn.Conv2d(i, o, 3, padding=1), nn.Upsample(scale_factor=2), i, o, norm) for o, i in pairs
        )
        doors = outer if progressive else outer[:1]
        self.from_image = nn.ModuleList(nn.Conv2d(3, channels, 1) for channels in doors)
        self.to_image = nn.ModuleList(nn.Conv2d(channels, 3, 3, padding=1) for channels in doors)
        self.to_code, self.from_code = nn.Conv2d(inner[-1], latent, 1), nn.Conv2d(latent, inner[-1], 1)
        #: Stages in use, from 1 to ``stages``; a fraction while one is being faded in.
        self.grown = float(stages)

    def get_extra_state(self) -> float:
        """The growth, for checkpoints of a training that was stopped early."""
        return self.grown

    def set_extra_state(self, state: float) -> None:
        """Take the growth back."""
        self.grown = state

    @property
    def unused(self) -> int:
        """Number of outer stages that are not in use yet."""
        return self.stages - math.ceil(self.grown)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruction before the sigmoid, (B, 3, ⌈H/k⌉, ⌈W/k⌉) with k = 2^unused, of images (B, 3, H, W)."""
        height, width = image.shape[-2:]
        below, right = -height % self.factor, -width % self.factor
        x = F.pad(image, (0, right, 0, below), mode="replicate") if below or right else image
        start, shrink = self.unused, 2**self.unused
        x = F.avg_pool2d(x, shrink) if start else x
        # In the first half of a stage's time it is faded in, in the second it is trained in full.
        new = min(1.0, 2 * (self.grown - math.ceil(self.grown) + 1))
        hidden = self.down[start](self.from_image[start](x))
        if new < 1:
            hidden = new * hidden + (1 - new) * self.from_image[start + 1](F.avg_pool2d(x, 2))
        for block in self.down[start + 1 :]:
            hidden = block(hidden)
        hidden = F.leaky_relu(self.from_code(self.to_code(hidden)), 0.2)
        for block in reversed(self.up[start + 1 :]):
            hidden = block(hidden)
        logits = self.to_image[start](self.up[start](hidden))
        if new < 1:
            old = F.interpolate(self.to_image[start + 1](hidden), scale_factor=2, mode="nearest")
            logits = new * logits + (1 - new) * old
        return logits[..., : -(-height // shrink), : -(-width // shrink)]
