"""Check whether a pre-processor's transform moves pixels: heat maps would then lie elsewhere than on the image."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: Where a spot is set, as shares of height and width; none is the mirror image of another, and the outer ones show a
#: cut that leaves the middle in place.
_SPOTS = ((0.15, 0.3), (0.3, 0.85), (0.5, 0.5), (0.6, 0.15), (0.85, 0.7))
#: How far a spot may lie from its place: pixels, and a share of the side.
_PIXELS, _SHARE = 0.5, 0.004


def displaced(transform: Callable[[torch.Tensor], torch.Tensor], size: tuple[int, int], device: torch.device) -> bool:
    """Whether a transform puts what is in an image elsewhere in it: a cut, a border, a flip, a turn.

    A resize is none of these. Spots are set into a grey image one by one, and looked for in what comes out. One that
    is nowhere to be found says nothing: a transform may cover a part of the image.

    Args:
        transform: Images (1, 3, H, W) float32 in [0, 1] to images (1, C, h, w).
        size: Height and width of the images that it takes.
        device: Where it computes.
    """
    image = torch.full((1, 3, *size), 0.45, device=device)
    image[..., ::2] += 0.1
    # The whole range is there without the spots: a transform that stretches contrast does the same to all images.
    image[..., 0, :2], image[..., 0, 2:4] = 0.0, 1.0
    plain = _alike(transform, image)
    for spot in _SPOTS:
        marked = image.clone()
        rows, columns = (
            slice(at := max(0, int(share * side) - max(1, side // 16)), at + 2 * max(1, side // 16) + 1)
            for share, side in zip(spot, size, strict=True)
        )
        marked[..., rows, columns] += 0.3
        change = (_alike(transform, marked) - plain).abs().sum(dim=(0, 1))
        if not torch.isfinite(change).all() or change.max() < 1e-4:
            continue
        change = change * (change > change.max() / 2)
        for side, axis, part in zip(size, (1, 0), (rows, columns), strict=True):
            weights = change.sum(dim=axis)
            middles = (torch.arange(len(weights), device=device) + 0.5) / len(weights)
            found = float((weights * middles).sum() / weights.sum())
            expected = (part.start + min(part.stop, side)) / 2 / side
            if abs(found - expected) > _PIXELS / min(side, len(weights)) + _SHARE:
                return True
    return False


def _alike(transform: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    """What a transform gives, with the same chance each time."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transform(image).float()
