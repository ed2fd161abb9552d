"""The network: image in, raw score, its parts and map out."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly.models import ConvAutoencoder, MapScore, Reconstruction, error_map
from medanomaly.models.error_maps import score_error, training_loss
from medanomaly_variational_autoencoder.context_encoding import hidden

LOSSES = ("mse", "l1", "bce")
SCORES = ("elbo", "reconstruction", "kl", "sum")

#: Least spread of the KL divergence, in nats, that ``sum`` takes for one: a code that has collapsed on the prior says
#: nothing, and its rounding noise must not be blown up.
_LEAST_KL = 1e-3


def kl_map(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL divergence of N(mean, variance) from N(0, 1), in nats, summed over channels: (B, C, h, w) to (B, 1, h, w).

    Kingma, Welling, ICLR 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1, keepdim=True)


class VariationalAutoencoderModel(nn.Module):
    """Encoder to the mean and variance of a code, decoder, and the scores of both.

    Args:
        network: Encoder of two codes at once, mean and log variance, and decoder.
        beta: Weight of the KL divergence in loss and ELBO; see the page for its meaning with each loss.
        loss: ``mse``, ``l1`` or ``bce``.
        context: Probability that a training image is shown with hidden squares; 0 for none.
        context_size: Largest side of such a square as a share of the image's shorter side, in (0, 1].
        score: One of ``SCORES``.
        error: The score's error map, one of :data:`medanomaly.models.error_maps.ERRORS`; None for that of the loss.
        window, smooth, pooling, top_share: See :mod:`medanomaly.models.error_maps`; ``pooling`` is its ``score``.

    Raises:
        ValueError: for an option out of range, and for the ELBO of another error than the loss's mean.
    """

    part_names = ("reconstruction", "kl")
    part_mean: torch.Tensor
    part_std: torch.Tensor

    def __init__(
        self,
        network: ConvAutoencoder,
        beta: float = 0.005,
        loss: str = "mse",
        context: float = 0.0,
        context_size: float = 0.5,
        score: str = "elbo",
        error: str | None = None,
        window: int = 7,
        smooth: int = 1,
        pooling: str = "mean",
        top_share: float = 0.02,
    ) -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}, not '{score}'")
        if beta < 0 or not 0 <= context <= 1 or not 0 < context_size <= 1:
            raise ValueError(
                f"need beta >= 0, context in [0, 1], context_size in (0, 1]; got {beta=}, {context=}, {context_size=}"
            )
        self.error = score_error(loss, error, window, LOSSES)
        if score == "elbo" and (self.error != loss or pooling != "mean"):
            raise ValueError(
                f"the ELBO is made of the loss's mean ({loss}), not of {pooling} {self.error}: set score to sum, or "
                "leave error and pooling at their defaults"
            )
        self.network, self.loss, self.window, self.beta, self.score = network, loss, window, beta, score
        self.context, self.context_size = context, context_size
        self.map_score = MapScore(smooth, pooling, top_share)
        self.reconstructed = Reconstruction()
        self.register_buffer("part_mean", torch.zeros(2))
        self.register_buffer("part_std", torch.ones(2))

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance (B, latent, h, w) of the codes of images (B, 3, H, W) in [0, 1]."""
        mean, log_variance = self.network.encode(image).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)  # its exponential must not overflow

    def training_loss(self, image: torch.Tensor) -> torch.Tensor:
        """Negative ELBO of a batch for each of its 3 H W values: mean error + beta / (3 H W) · KL.

        Images with hidden squares are encoded by their mean alone and pay no KL, and must come back whole
        (Zimmerer et al. 2018).
        """
        choose = torch.rand(len(image), 1, 1, 1, device=image.device) < self.context
        shown = torch.where(choose, hidden(image, self.context_size), image) if self.context else image
        mean, log_variance = self.encode(shown)
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        code = torch.where(choose, mean, drawn)
        reconstruction = training_loss(
            self.loss, image, self.network.decode(code, (image.shape[-2], image.shape[-1])), self.window
        )
        kl = torch.where(choose, 0.0, kl_map(mean, log_variance)).sum() / len(image)
        return reconstruction + self.weight(image) * kl

    def weight(self, image: torch.Tensor) -> float:
        """Weight of the KL divergence in nats against the mean error of images (B, 3, H, W)."""
        return self.beta / (image.shape[1] * image.shape[2] * image.shape[3])

    def parts(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Parts (B, 2), reconstruction error and KL divergence in nats, and map (B, 1, H, W); the code is its mean."""
        size = (image.shape[-2], image.shape[-1])
        mean, log_variance = self.encode(image)
        logits = self.reconstructed(self.network.decode(mean, size))
        reconstruction, anomaly_map = self.map_score(error_map(self.error, image, logits, self.window))
        kl = kl_map(mean, log_variance)
        if self.score == "kl" and self.network.dense is None:
            anomaly_map = F.interpolate(kl, scale_factor=float(self.network.factor), mode="bilinear")
            anomaly_map = anomaly_map[..., : size[0], : size[1]]
        return torch.stack([reconstruction, kl.flatten(1).sum(dim=1)], dim=1), anomaly_map

    def scored(self, image: torch.Tensor) -> tuple[InferenceBatch, torch.Tensor]:
        """Raw score and map of images (B, 3, H, W) in [0, 1], and the parts (B, 2)."""
        parts, anomaly_map = self.parts(image)
        if self.score == "elbo":
            score = parts[:, 0] + self.weight(image) * parts[:, 1]
        elif self.score == "sum":
            score = ((parts - self.part_mean) / self.part_std).sum(dim=1)
        else:
            score = parts[:, self.part_names.index(self.score)]
        return InferenceBatch(pred_score=score, anomaly_map=anomaly_map), parts

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1]."""
        return self.scored(image)[0]

    def fit_parts(self, batches: Iterable[torch.Tensor]) -> None:
        """Take mean and standard deviation of both parts over batches of normal images (B, 3, H, W)."""
        parts = torch.cat([self.parts(images)[0] for images in batches]).double()
        mean, std = parts.mean(dim=0), parts.std(dim=0, unbiased=False)
        self.part_mean.copy_(mean)
        # Errors that differ by rounding alone have no spread either.
        self.part_std.copy_(torch.stack([std[0].clamp_min(1e-6 * mean[0].abs() + 1e-12), std[1].clamp_min(_LEAST_KL)]))
