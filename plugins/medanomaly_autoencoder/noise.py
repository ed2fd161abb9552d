"""Noise that a denoising autoencoder is trained to take away."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812


def noisy(image: torch.Tensor, deviation: float, size: int | None) -> torch.Tensor:
    """Images with Gaussian noise, fine or coarse.

    Coarse noise is drawn at ``size`` × ``size``, upsampled bilinearly to the image's size and shifted cyclically by a
    random number of pixels, so that no place is always a grid point (Kascenas, Pugeault, O'Neil, MIDL 2022; they
    took 16 × 16 for 128 px, and 0.2). Grey images stay grey: noise of its own in each channel would average out.

    Args:
        image: (B, 3, H, W) in [0, 1].
        deviation: Standard deviation of what is drawn, before it is upsampled.
        size: Side at which coarse noise is drawn; None for noise of its own in each pixel.

    Returns:
        (B, 3, H, W), not clamped to [0, 1].
    """
    height, width = image.shape[-2:]
    drawn = (height, width) if size is None else (size, size)
    noise = deviation * torch.randn(*image.shape[:2], *drawn, device=image.device, dtype=image.dtype)
    if size is not None:
        noise = F.interpolate(noise, (height, width), mode="bilinear", align_corners=True)
        down, right = int(torch.randint(height, ())), int(torch.randint(width, ()))
        noise = noise.roll((down, right), dims=(2, 3))
    grey = (image == image[:, :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
    return image + torch.where(grey, noise[:, :1], noise)
