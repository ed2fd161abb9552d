"""The network: image in, raw score and map out."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from anomalib.data import InferenceBatch
from torch import nn

from medanomaly.models import MapScore, Reconstruction, error_map
from medanomaly.models.density import Gaussian, StandardNormal
from medanomaly.models.density_kernel import KernelDensity
from medanomaly.models.error_maps import score_error, training_loss
from medanomaly_adversarial_autoencoder.criterion import Criterion
from medanomaly_adversarial_autoencoder.network import Network

DENSITIES = ("prior", "kde", "gaussian")


class AdversarialAutoencoderModel(nn.Module):
    """Autoencoder, density of its code, and the score made of both.

    Args:
        network: Encoder and decoder.
        density: Log density of the flattened code.
        loss: Reconstruction error in training, one of ``medanomaly.models.error_maps.LOSSES``.
        error: Kind of the error map, one of ``medanomaly.models.error_maps.ERRORS``; None for that of the loss.
        window: Side in pixels of the squares of the local kinds of error; odd.
        smooth, score, top_share: How the map becomes the reconstruction error, see
            :class:`medanomaly.models.error_maps.MapScore`.
        criterion: ``either``, ``density``, ``reconstruction`` or ``sum``, see
            :class:`~medanomaly_adversarial_autoencoder.criterion.Criterion`.

    Raises:
        ValueError: for an option out of range.
    """

    part_names = ("density", "reconstruction")

    def __init__(
        self,
        network: Network,
        density: nn.Module,
        loss: str = "mse",
        error: str | None = None,
        window: int = 7,
        smooth: int = 1,
        score: str = "mean",
        top_share: float = 0.02,
        criterion: str = "either",
    ) -> None:
        super().__init__()
        self.network, self.density, self.loss, self.window = network, density, loss, window
        self.error = score_error(loss, error, window)
        self.map_score = MapScore(smooth, score, top_share)
        self.criterion = Criterion(criterion)
        self.reconstructed = Reconstruction()

    def loss_of(self, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Mean reconstruction error of a batch in training."""
        return training_loss(self.loss, image, logits, self.window)

    def codes(self, image: torch.Tensor) -> torch.Tensor:
        """Flattened codes (B, d) of images (B, 3, H, W)."""
        return self.network.encode(image).flatten(1)

    def parts(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw parts (B, 2), negative log density in nats and reconstruction error, and the map (B, 1, H, W)."""
        code = self.network.encode(image)
        logits = self.reconstructed(self.network.decode(code, (image.shape[-2], image.shape[-1])))
        reconstruction, anomaly_map = self.map_score(error_map(self.error, image, logits, self.window))
        return torch.stack([-self.density(code.flatten(1)), reconstruction], dim=1), anomaly_map

    def scored(self, image: torch.Tensor) -> tuple[InferenceBatch, torch.Tensor]:
        """Raw score and map of images (B, 3, H, W) in [0, 1], and the raw parts (B, 2)."""
        parts, anomaly_map = self.parts(image)
        return InferenceBatch(pred_score=self.criterion(parts), anomaly_map=anomaly_map), parts

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,), greater than zero, and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1]."""
        return self.scored(image)[0]

    def fit(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Fit the density to batches of training normals, then the criterion to those of validation normals.

        Raises:
            ValueError: if a split has too few images, or the training diverged.
        """
        if not isinstance(self.density, StandardNormal):
            self.density.fit(torch.cat([self.codes(images) for images in train]))  # type: ignore[operator]
        self.criterion.fit(torch.cat([self.parts(images)[0] for images in validation]))


def density_named(name: str, components: int, variance: float, bandwidth: str, points: int) -> nn.Module:
    """The density of that name; the other arguments are those of the kernel density.

    Raises:
        ValueError: for a name that is none of ``DENSITIES``.
    """
    if name not in DENSITIES:
        raise ValueError(f"density must be one of {', '.join(DENSITIES)}, not '{name}'")
    if name == "kde":
        return KernelDensity(components, variance, bandwidth, points)
    return Gaussian() if name == "gaussian" else StandardNormal()
