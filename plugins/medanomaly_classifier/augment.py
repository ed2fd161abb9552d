"""Random shifts and scalings of a batch, for training."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812


def moved(image: torch.Tensor, shift: float, scale: float) -> torch.Tensor:
    """Shift and scale each image at random, its border repeated.

    Never a flip: upside down no film is seen, and a mirrored heart is a finding. Never a crop: disease at the border
    stays in the image, but for what a shift moves out.

    Args:
        image: (B, 3, H, W).
        shift: Greatest shift in either direction, as a share of the side, in [0, 1).
        scale: Greatest change of size, as a share, in [0, 1).

    Returns:
        (B, 3, H, W).
    """
    number = len(image)
    theta = image.new_zeros(number, 2, 3)
    # A factor above 1 in the grid shows more than the image, which makes it smaller.
    theta[:, [0, 1], [0, 1]] = 1 + scale * image.new_empty(number, 1).uniform_(-1, 1)
    theta[:, :, 2] = 2 * shift * image.new_empty(number, 2).uniform_(-1, 1)  # the grid is 2 wide
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)
