"""Squares that are hidden in training images, for context encoding."""

from __future__ import annotations

import torch

#: Largest number of squares an image, as in the authors' published example of Zimmerer et al.
SQUARES = 3


def hidden(image: torch.Tensor, size: float) -> torch.Tensor:
    """Images with one to three random squares, each filled with one random grey.

    Sides are uniform in 1 … ``size`` times the image's shorter side, places uniform inside the image, and greys
    uniform in [0, 1].

    Args:
        image: (B, 3, H, W) in [0, 1].
        size: Largest side of a square as a share of the shorter side, in (0, 1].
    """
    count, _, height, width = image.shape
    shape, device = (count, SQUARES), image.device
    largest = max(1, round(size * min(height, width)))
    side = 1 + (torch.rand(shape, device=device) * largest).long()
    top = (torch.rand(shape, device=device) * (height - side + 1)).long()
    left = (torch.rand(shape, device=device) * (width - side + 1)).long()
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    in_rows = (rows >= top[..., None]) & (rows < (top + side)[..., None])
    in_columns = (columns >= left[..., None]) & (columns < (left + side)[..., None])
    drawn = torch.randint(1, SQUARES + 1, (count, 1), device=device) > torch.arange(SQUARES, device=device)
    inside = in_rows[..., :, None] & in_columns[..., None, :] & drawn[..., None, None]  # (B, SQUARES, H, W)
    grey = torch.rand(shape, device=device, dtype=image.dtype)
    for i in range(SQUARES):
        image = torch.where(inside[:, i, None], grey[:, i, None, None, None], image)
    return image
