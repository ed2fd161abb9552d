"""Densities of a network's codes: fitted in double precision, exported in single.

Each takes codes (n, d) to log densities (n,). Nothing is clamped: the further away, the lower, without end. All
distances are sums of squared differences; the usual ``a² - 2ab + b²`` would cancel, and torch and OpenVINO differ.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from anomalib.models.components import DynamicBufferMixin
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import nn

from medanomaly.options import OptionError

#: Least standard deviation of a direction. A network's codes are of the order of one, their rounding noise of 1e-6.
MIN_STD = 1e-3
_LOG_2PI = math.log(2 * math.pi)


def standard_normal(codes: torch.Tensor) -> torch.Tensor:
    """Log density (n,) of N(0, I) at codes (n, d)."""
    return -0.5 * (codes.square().sum(dim=1) + codes.shape[1] * _LOG_2PI)


class StandardNormal(nn.Module):
    """N(0, I), the prior of an adversarial or variational autoencoder. Nothing is fitted."""

    def fit(self, codes: torch.Tensor) -> None:
        """Nothing to do."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Log density (n,) at codes (n, d)."""
        return standard_normal(codes)


class FittedDensity(DynamicBufferMixin):
    """What densities with parameters share: before they are fitted they are N(0, I)."""

    mean: torch.Tensor

    def _empty(self, *names: str) -> None:
        for name in names:
            self.register_buffer(name, torch.zeros(0))

    def _set(self, **values: np.ndarray | float) -> None:
        for name, value in values.items():
            old = getattr(self, name)
            setattr(self, name, torch.as_tensor(np.asarray(value), dtype=torch.float32).to(old.device))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Log density (n,) at codes (n, d).

        Raises:
            ValueError: for codes of another length than those it was fitted on.
        """
        if not len(self.mean):
            return standard_normal(codes)
        if codes.shape[1] != len(self.mean):
            raise ValueError(
                f"the density was fitted on codes of {len(self.mean)} numbers, and these have {codes.shape[1]}: the "
                "images have another size than in training"
            )
        return self.log_density(codes)

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """As ``forward``, of a fitted density."""
        raise NotImplementedError


def finite(codes: torch.Tensor) -> np.ndarray:
    """Codes (n, d) as float64.

    Raises:
        ValueError: for fewer than two codes, or values that are not finite.
    """
    array = codes.detach().cpu().double().numpy()
    if len(array) < 2:
        raise OptionError(f"a density needs at least 2 training images, not {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError("codes are not finite: the training diverged. Lower model.init_args.learning_rate")
    return array


class Gaussian(FittedDensity):
    """Gaussian with the covariance shrunk towards a multiple of the identity (Ledoit, Wolf 2004).

    Without shrinkage a code with more numbers than there are training images has no inverse covariance. Beyond the
    ``directions`` of largest variance all others share their mean variance (Tipping, Bishop: *Probabilistic principal
    component analysis*, 1999), so that a large code does not export a matrix of d × d.

    Args:
        directions: Principal directions that keep a variance of their own.
    """

    axes: torch.Tensor
    precision: torch.Tensor
    rest_precision: torch.Tensor
    constant: torch.Tensor

    def __init__(self, directions: int = 512) -> None:
        super().__init__()
        self.directions = directions
        self._empty("mean", "axes", "precision", "rest_precision", "constant")

    def fit(self, codes: torch.Tensor) -> None:
        """Fit to codes (n, d).

        Raises:
            ValueError: for fewer than two codes, or values that are not finite.
        """
        array = finite(codes)
        number, length = array.shape
        mean = array.mean(axis=0)
        centred = array - mean
        shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True) if centred.any() else 0.0
        _, singular, rows = np.linalg.svd(centred, full_matrices=False)
        kept = min(self.directions, len(singular))
        variance = singular**2 / number
        common = shrinkage * variance.sum() / length
        own = np.maximum((1 - shrinkage) * variance[:kept] + common, MIN_STD**2)
        others = length - kept
        rest = max((1 - shrinkage) * variance[kept:].sum() / max(others, 1) + common, MIN_STD**2)
        log_determinant = np.log(own).sum() + others * math.log(rest)
        self._set(
            mean=mean,
            axes=rows[:kept].T,
            precision=1 / own,
            rest_precision=1 / rest,
            constant=-0.5 * (log_determinant + length * _LOG_2PI),
        )

    def squared_mahalanobis(self, codes: torch.Tensor) -> torch.Tensor:
        """Squared Mahalanobis distance (n,) of codes (n, d) from the mean."""
        centred = codes - self.mean
        along = centred @ self.axes
        distance = (along.square() * self.precision).sum(dim=1)
        if self.axes.shape[1] < self.axes.shape[0]:
            rest = centred - along @ self.axes.T
            distance = distance + rest.square().sum(dim=1) * self.rest_precision
        return distance

    def log_density(self, codes: torch.Tensor) -> torch.Tensor:
        """Log density (n,) at codes (n, d)."""
        return self.constant - 0.5 * self.squared_mahalanobis(codes)
