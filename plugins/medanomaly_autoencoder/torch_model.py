"""The network: image in, raw score and map out."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from anomalib.data import InferenceBatch
from torch import nn

from medanomaly.models import ConvAutoencoder, MapScore, Reconstruction, error_map
from medanomaly.models.error_maps import score_error, training_loss
from medanomaly_autoencoder.keras_blog import StudyAutoencoder
from medanomaly_autoencoder.noise import noisy

NETWORKS = ("conv", "study")


def build_network(
    network: str, stages: int, width: int, latent: int, norm: str, dense: int | None
) -> ConvAutoencoder | StudyAutoencoder:
    """The autoencoder by name: ``conv`` of the given sizes, or the fixed ``study``.

    Raises:
        ValueError: for an unknown name or an option out of range.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, not '{network}'")
    return StudyAutoencoder() if network == "study" else ConvAutoencoder(stages, width, latent, norm, dense)


class AutoencoderModel(nn.Module):
    """An autoencoder whose reconstruction error is the anomaly map.

    Args:
        network: Images (B, 3, H, W) in [0, 1] to their reconstruction before the sigmoid.
        loss: Training loss, one of ``medanomaly.models.error_maps.LOSSES``.
        error: Error map that is scored, one of ``medanomaly.models.error_maps.ERRORS``; None for that of the loss.
        window: Side in pixels of the squares of the local kinds of error; odd.
        noise: Standard deviation of the noise on training inputs; 0 for none.
        noise_size: Side at which that noise is drawn before it is upsampled; None for noise in each pixel.
        score: How the map becomes a score; None for its mean.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: str = "mse",
        error: str | None = None,
        window: int = 7,
        noise: float = 0.0,
        noise_size: int | None = 16,
        score: MapScore | None = None,
    ) -> None:
        super().__init__()
        if noise < 0 or (noise_size is not None and noise_size < 1):
            raise ValueError(f"need noise >= 0 and noise_size >= 1; got noise={noise}, noise_size={noise_size}")
        self.network = network
        self.loss, self.error, self.window = loss, score_error(loss, error, window), window
        self.noise, self.noise_size = noise, noise_size
        self.score = score or MapScore()
        self.reconstructed = Reconstruction()

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruction (B, 3, H, W) before the sigmoid, for images (B, 3, H, W) in [0, 1]."""
        return self.network(image)

    def corrupted(self, image: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) as training shows them to the network: with noise where it is asked for."""
        return noisy(image, self.noise, self.noise_size) if self.noise else image

    def training_loss(self, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch against its clean images."""
        return training_loss(self.loss, image, logits, self.window)

    def errors(self, image: torch.Tensor) -> torch.Tensor:
        """Error map (B, 1, H, W) that is scored."""
        return error_map(self.error, image, self.reconstructed(self.logits(image)), self.window)

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1]."""
        score, anomaly_map = self.score(self.errors(image))
        return InferenceBatch(pred_score=score, anomaly_map=anomaly_map)

    def fit_score(self, batches: Iterable[torch.Tensor]) -> None:
        """Statistics of the one-sided score over batches of normal images (B, 3, H, W), for the two-sided one."""
        self.score.fit(torch.cat([self.score.one_sided(self.errors(images))[0] for images in batches]))
