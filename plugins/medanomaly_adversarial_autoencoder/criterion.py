"""One score from two criteria: density or reconstruction error."""

from __future__ import annotations

import torch
from torch import nn

from medanomaly.models import positive_score

CRITERIA = ("either", "density", "reconstruction", "sum")
#: The share of normal images below a calibrated value of 1, in each part.
ANCHOR = 0.9


class Criterion(nn.Module):
    """Turns negative log density and reconstruction error into one score by their values on normal images.

    A part x becomes z = (x - median) / (90 % quantile - median) of normal validation images: 0 for the typical one,
    1 where one in ten lies above. So equal z of both parts are about equally rare among normal images. Beggel et al.
    flag an image whose error is above the 90 % quantile or whose likelihood is below the 10 % quantile: that is
    max(z) > 1, and another threshold on the same maximum is the same rule at another rate. z is linear: values beyond
    those of any validation image keep their order, which a p-value from ranks would lose.

    Args:
        criterion: ``either`` (largest z), ``sum`` of both, ``density`` or ``reconstruction`` alone.

    Raises:
        ValueError: for a criterion that is none of ``CRITERIA``.
    """

    median: torch.Tensor
    scale: torch.Tensor

    def __init__(self, criterion: str = "either") -> None:
        super().__init__()
        if criterion not in CRITERIA:
            raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, not '{criterion}'")
        self.criterion = criterion
        self.register_buffer("median", torch.zeros(2))
        self.register_buffer("scale", torch.ones(2))

    def fit(self, parts: torch.Tensor) -> None:
        """Take median and scale from the parts (n, 2) of normal validation images.

        Raises:
            ValueError: if there are none, or a part is not finite.
        """
        if not len(parts) or not torch.isfinite(parts).all():
            raise ValueError(
                "the criterion is calibrated on normal validation images: "
                + ("their scores are not finite, the training diverged" if len(parts) else "there are none")
            )
        parts = parts.double()
        median, high = parts.quantile(torch.tensor([0.5, ANCHOR], dtype=parts.dtype, device=parts.device), dim=0)
        # Images that are all the same have no spread; a thousandth of the value stands for it.
        least = 1e-3 * median.abs() + 1e-9
        self.median.copy_(median)
        self.scale.copy_(torch.maximum(high - median, least))

    def calibrated(self, parts: torch.Tensor) -> torch.Tensor:
        """z of each part (B, 2)."""
        return (parts - self.median) / self.scale

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Score (B,), greater than zero, of raw parts (B, 2): negative log density, reconstruction error."""
        z = self.calibrated(parts)
        if self.criterion == "either":
            return positive_score(z.amax(dim=1))
        if self.criterion == "sum":
            return positive_score(z.sum(dim=1))
        return positive_score(z[:, CRITERIA.index(self.criterion) - 1])
