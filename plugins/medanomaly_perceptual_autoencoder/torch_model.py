"""The network: image in, raw score and map in feature space out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly.models import FeatureNetwork, MapScore, Reconstruction
from medanomaly.models.error_maps import local_mean

#: Least mean size of an image's features that its error is divided by.
_LEAST = 1e-6


class Standardise(nn.Module):
    """Subtract each channel's mean and divide by its standard deviation, once :meth:`fit` has set them.

    Args:
        channels: Number of channels.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Standardised features (B, C, h, w)."""
        return (features - self.mean) / self.std

    def fit(self, count: int, total: torch.Tensor, squares: torch.Tensor) -> None:
        """Take mean and standard deviation from a number of values and their sum and sum of squares (C,)."""
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        # A channel that never changes, as in images that are all one grey, is left at its scale.
        std = torch.where(std > 1e-6 * mean.abs() + 1e-12, std, 1.0)
        self.mean.copy_(mean.view(1, -1, 1, 1))
        self.std.copy_(std.view(1, -1, 1, 1))


class PerceptualModel(nn.Module):
    """An autoencoder, and a frozen network in whose features image and reconstruction are compared.

    Args:
        autoencoder: Images (B, 3, H, W) in [0, 1] to reconstructions before the sigmoid; smaller ones while it grows.
        features: The frozen network; of its layers the deepest one is compared, shallower ones while it grows.
        scoring: How the score is taken from the error map; squares are measured in the map's own positions.
        image_weight: Weight of the mean absolute error of pixels in the training loss.
        upsample: Factor by which images are enlarged for the frozen network.
        pool: Side in positions of the square over which features are averaged before they are compared; odd, 1 for
            none.
        relative: Divide the error by the mean size of the image's own features.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        autoencoder: nn.Module,
        features: FeatureNetwork,
        scoring: MapScore,
        image_weight: float = 0.0,
        upsample: int = 1,
        pool: int = 1,
        relative: bool = True,
    ) -> None:
        super().__init__()
        if image_weight < 0 or upsample < 1 or pool < 1 or pool % 2 == 0:
            raise ValueError(
                f"need image_weight >= 0, upsample >= 1, pool odd; got image_weight={image_weight}, "
                f"upsample={upsample}, pool={pool}"
            )
        self.autoencoder, self.scoring, self.reconstructed = autoencoder, scoring, Reconstruction()
        self.image_weight, self.upsample, self.pool, self.relative = image_weight, upsample, pool, relative
        self.use(features)

    def use(self, features: FeatureNetwork) -> None:
        """Compare in these features, not standardised until :meth:`fit_features`."""
        self.features = features
        self.standardise: Any = nn.ModuleList(Standardise(channels) for channels in features.channels)

    @property
    def compared(self) -> int:
        """Which of the features' layers is compared: the deepest, one less for each stage that is not grown yet."""
        return max(0, len(self.features.channels) - 1 - getattr(self.autoencoder, "unused", 0))

    def enlarged(self, image: torch.Tensor) -> torch.Tensor:
        """Images as the frozen network gets them."""
        if self.upsample == 1:
            return image
        return F.interpolate(image, scale_factor=self.upsample, mode="bilinear", align_corners=False)

    def described(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features (B, C, h, w) of each layer, averaged over squares of ``pool`` positions."""
        return [local_mean(feature, self.pool) for feature in self.features(self.enlarged(image))]

    def standardised(self, image: torch.Tensor) -> torch.Tensor:
        """Standardised features f̂ (B, C, h, w) of the compared layer."""
        layer = self.compared
        return self.standardise[layer](self.described(image)[layer])

    def errors(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Error of each position of the features (B, 1, h, w), and absolute error of pixels (B, 3, h', w').

        The mean of the first is the relative perceptual L1 loss ‖f̂(x) − f̂(x̂)‖₁ / ‖f̂(x)‖₁ (Shvetsova et al., 2021);
        not ``relative`` it is left undivided, in standard deviations of the training normals' features.
        """
        logits = self.reconstructed(self.autoencoder(image))
        if logits.shape[-2:] != image.shape[-2:]:
            image = F.interpolate(image, size=logits.shape[-2:], mode="area")
        reconstruction = torch.sigmoid(logits)
        with torch.no_grad():
            expected = self.standardised(image)
        error = (expected - self.standardised(reconstruction)).abs().mean(dim=1, keepdim=True)
        if self.relative:
            error = error / expected.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(_LEAST)
        return error, (image - reconstruction).abs()

    def training_loss(self, image: torch.Tensor) -> torch.Tensor:
        """Perceptual L1 of a batch, plus the weighted error of pixels."""
        perceptual, absolute = self.errors(image)
        return perceptual.mean() + self.image_weight * absolute.mean() if self.image_weight else perceptual.mean()

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1]."""
        score, error = self.scoring(self.errors(image)[0])
        anomaly_map = F.interpolate(error, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return InferenceBatch(pred_score=score, anomaly_map=anomaly_map)

    @torch.no_grad()
    def fit_features(self, batches: Iterable[torch.Tensor]) -> None:
        """Take mean and standard deviation of each channel of each layer over batches of normals (B, 3, H, W)."""
        # In double precision: a sum of squares over millions of positions.
        sums = [(0, torch.zeros((), dtype=torch.double), torch.zeros((), dtype=torch.double)) for _ in self.standardise]
        for image in batches:
            for i, feature in enumerate(self.described(image)):
                values, (count, total, squares) = feature.double(), sums[i]
                count += values[:, 0].numel()
                sums[i] = count, total + values.sum(dim=(0, 2, 3)), squares + values.square().sum(dim=(0, 2, 3))
        for layer, (count, total, squares) in zip(self.standardise, sums, strict=True):
            layer.fit(count, total, squares)

    @torch.no_grad()
    def fit_score(self, batches: Iterable[torch.Tensor]) -> None:
        """Take mean and standard deviation of the one-sided score over batches of normals (B, 3, H, W)."""
        self.scoring.fit(torch.cat([self.scoring.one_sided(self.errors(image)[0])[0] for image in batches]))
