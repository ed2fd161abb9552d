"""Error maps between an image and its reconstruction, and the scores that are taken from a map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

#: Kinds of error map, see :func:`error_map`.
ERRORS = ("mse", "l1", "bce", "ssim", "structure", "relative", "ssim+l1")
#: Those that a network can be trained with: the others take no notice of brightness, or divide by almost nothing.
LOSSES = ("mse", "l1", "bce", "ssim", "ssim+l1")
SCORES = ("mean", "top")

#: Constants of SSIM for images in [0, 1] (Wang et al., IEEE TIP 2004: (0.01 L)² and (0.03 L)²).
_C1, _C2 = 1e-4, 9e-4
#: Variance added where an error is divided by the local variance: that of steps of about 1/100 of the range.
_FLOOR = 1e-4
#: Variance added to both pictures under the root of the structure term, and to their covariance: the root's gradient
#: is infinite at zero, where a square is flat. Adding it to all three terms keeps the similarity at 1 for identical
#: images and at most 1 otherwise.
_FLAT = 1e-6


def score_error(loss: str, error: str | None, window: int = 7, losses: Sequence[str] = LOSSES) -> str:
    """Kind of the score's error map: ``error``, or that of the training loss where it is None.

    Raises:
        ValueError: for a loss, an error or a side of local squares that cannot be.
    """
    if loss not in losses:
        raise ValueError(f"loss must be one of {', '.join(losses)}, not '{loss}'")
    if error is not None and error not in ERRORS:
        raise ValueError(f"error must be one of {', '.join(ERRORS)}, or nothing for that of the loss, not '{error}'")
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window is the side of local squares in pixels, odd and 3 or more, not {window}")
    return error or loss


def local_mean(x: torch.Tensor, side: int) -> torch.Tensor:
    """Mean of (B, C, H, W) over squares of ``side`` pixels (odd), at the borders over what lies inside."""
    if side == 1:
        return x
    return F.avg_pool2d(x, side, stride=1, padding=side // 2, count_include_pad=False)


def local_moments(
    a: torch.Tensor, b: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means of ``a`` and ``b``, their variances and their covariance, over squares of ``side`` pixels."""
    # Moments about 0.5 rather than 0: squares of bright pixels would cancel to rounding noise.
    a, b = a - 0.5, b - 0.5
    mean_a, mean_b = local_mean(a, side), local_mean(b, side)
    variance_a = (local_mean(a * a, side) - mean_a * mean_a).clamp_min(0)
    variance_b = (local_mean(b * b, side) - mean_b * mean_b).clamp_min(0)
    covariance = local_mean(a * b, side) - mean_a * mean_b
    return mean_a + 0.5, mean_b + 0.5, variance_a, variance_b, covariance


def ssim_map(image: torch.Tensor, other: torch.Tensor, side: int = 7) -> torch.Tensor:
    """Structural similarity of each pixel, (B, C, H, W) in [-1, 1] (Wang et al., IEEE TIP 2004, eq. 13)."""
    mean_a, mean_b, variance_a, variance_b, covariance = local_moments(image, other, side)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return luminance * (2 * covariance + _C2) / (variance_a + variance_b + _C2)


def structure_map(image: torch.Tensor, other: torch.Tensor, side: int = 7) -> torch.Tensor:
    """Structure term of SSIM alone, the local correlation, (B, C, H, W) in [-1, 1] (ibid., eq. 10)."""
    _, _, variance_a, variance_b, covariance = local_moments(image, other, side)
    deviations = ((variance_a + _FLAT) * (variance_b + _FLAT)).sqrt()
    return (covariance + _FLAT + _C2 / 2) / (deviations + _C2 / 2)


def error_map(kind: str, image: torch.Tensor, logits: torch.Tensor, side: int = 7) -> torch.Tensor:
    """Error of each pixel, mean over channels.

    Args:
        kind: ``mse``, ``l1`` or ``bce`` of each pixel; ``ssim`` and ``structure`` one minus the similarity, halved;
            ``relative`` the local mean squared error over the image's local variance; ``ssim+l1`` the sum of both.
        image: (B, 3, H, W) in [0, 1].
        logits: The reconstruction before the sigmoid, (B, 3, H, W).
        side: Side in pixels of the squares of the local kinds; odd.

    Returns:
        (B, 1, H, W), zero or more up to rounding.
    """
    if kind == "ssim+l1":
        return error_map("ssim", image, logits, side) + error_map("l1", image, logits, side)
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, image, reduction="none").mean(dim=1, keepdim=True)
    other = torch.sigmoid(logits)
    if kind in ("ssim", "structure"):
        similarity = (ssim_map if kind == "ssim" else structure_map)(image, other, side)
        error = (1 - similarity) / 2
    elif kind == "relative":
        variance = local_moments(image, image, side)[2]
        error = local_mean((image - other).square(), side) / (variance + _FLOOR)
    else:
        error = (image - other).abs() if kind == "l1" else (image - other).square()
    return error.mean(dim=1, keepdim=True)


def training_loss(kind: str, image: torch.Tensor, logits: torch.Tensor, side: int = 7) -> torch.Tensor:
    """Mean of :func:`error_map` over a batch; the pixel kinds are computed without their map."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, image)
    if kind in ("mse", "l1"):
        return (F.l1_loss if kind == "l1" else F.mse_loss)(torch.sigmoid(logits), image)
    return error_map(kind, image, logits, side).mean()


def positive_score(z: torch.Tensor) -> torch.Tensor:
    """The positive root v of v - 1/v = z, for z of any shape.

    It is strictly increasing and never zero: 1 at z = 0, about z far above, about 1/\\|z\\| far below. A score that
    crosses zero could not be compared between torch and OpenVINO by its relative difference.
    """
    half = z / 2
    root = (half.square() + 1).sqrt()
    # Below zero the sum would cancel, and far below all scores were one.
    return torch.where(half >= 0, half + root, 1 / (root + half.abs()))


class MapScore(nn.Module):
    """A raw score from an error map: mean or largest values, one- or two-sided.

    Args:
        smooth: Side in pixels of the square that the map is averaged over first; odd, 1 for none.
        score: ``mean`` of the map, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages, in (0, 1].
        two_sided: Score |s - mean| / sd of normal scores instead of s, for data whose anomalies reconstruct better
            than health; :meth:`fit` sets mean and sd.

    Raises:
        ValueError: for an option out of range.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, smooth: int = 1, score: str = "mean", top_share: float = 0.02, two_sided: bool = False) -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}, not '{score}'")
        if smooth < 1 or smooth % 2 == 0 or not 0 < top_share <= 1:
            raise ValueError(f"need smooth odd, 0 < top_share <= 1; got smooth={smooth}, top_share={top_share}")
        self.smooth, self.score, self.top_share, self.two_sided = smooth, score, top_share, two_sided
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(1.0))

    def one_sided(self, error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score (B,) and smoothed map (B, 1, H, W) of error maps (B, 1, H, W)."""
        smoothed = local_mean(error, self.smooth)
        values = smoothed.flatten(1)
        if self.score == "top":
            values = values.topk(max(1, round(self.top_share * values.shape[1])), dim=1).values
        return values.mean(dim=1), smoothed

    def forward(self, error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw score (B,) and map (B, 1, H, W) of error maps (B, 1, H, W)."""
        score, smoothed = self.one_sided(error)
        return ((score - self.mean).abs() / self.std if self.two_sided else score), smoothed

    def fit(self, scores: torch.Tensor) -> None:
        """Take mean and standard deviation from one-sided scores (n,) of normal images."""
        scores = scores.double()
        mean = scores.mean()
        self.mean.copy_(mean)
        # Scores that differ by rounding alone have no spread to measure distances by.
        self.std.copy_(scores.std(unbiased=False).clamp_min(1e-6 * float(mean.abs()) + 1e-12))
