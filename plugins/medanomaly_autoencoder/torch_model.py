"""The network: image in, raw score and map out."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly.models.blocks import conv_block

LOSSES = ("mse", "l1", "bce")
SCORES = ("mean", "top")


class AutoencoderModel(nn.Module):
    """Convolutional encoder and decoder with a spatial code.

    Args:
        stages: Number of halvings; the code is 2^stages times smaller than the image in each direction.
        width: Channels of the first stage; each further stage has twice as many, at most eight times ``width``.
        latent: Channels of the code.
        norm: ``group`` or ``none``. GroupNorm takes each image's own brightness out of every layer; a code of few
            numbers keeps it better without.
        loss: ``mse``, ``l1`` or ``bce``, for training and for the error map.
        smooth: Side in pixels of the square over which the error map is averaged; odd, 1 for none.
        score: ``mean`` of the map, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages, in (0, 1].
        two_sided: Score |s - mean| / sd of normal scores instead of s, for data whose anomalies reconstruct better
            than health.

    Raises:
        ValueError: for an option out of range.
    """

    score_mean: torch.Tensor
    score_std: torch.Tensor

    def __init__(
        self,
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        loss: str = "mse",
        smooth: int = 1,
        score: str = "mean",
        top_share: float = 0.02,
        two_sided: bool = False,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not '{loss}'")
        if score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}, not '{score}'")
        if min(stages, width, latent) < 1 or smooth < 1 or smooth % 2 == 0 or not 0 < top_share <= 1:
            raise ValueError(
                f"need stages, width, latent >= 1, smooth odd, 0 < top_share <= 1; got stages={stages}, "
                f"width={width}, latent={latent}, smooth={smooth}, top_share={top_share}"
            )
        self.factor = 2**stages
        self.loss, self.smooth, self.score, self.top_share, self.two_sided = loss, smooth, score, top_share, two_sided
        widths = [min(width * 2**i, width * 8) for i in range(stages)]
        encoder: list[nn.Module] = []
        channels = 3
        for out in widths:
            encoder.append(conv_block(nn.Conv2d(channels, out, 4, stride=2, padding=1), out, norm))
            channels = out
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(channels, latent, 1))
        decoder: list[nn.Module] = [conv_block(nn.Conv2d(latent, channels, 1), channels, norm)]
        for out in widths[-2::-1]:
            # Upsampling and convolution: transposed convolutions leave a chequered error map.
            decoder += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                conv_block(nn.Conv2d(channels, out, 3, padding=1), out, norm),
            ]
            channels = out
        # At full size only the last convolution: a block there would cost as much as all the others together.
        self.decoder = nn.Sequential(
            *decoder, nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, 3, 3, padding=1)
        )
        self.register_buffer("score_mean", torch.tensor(0.0))
        self.register_buffer("score_std", torch.tensor(1.0))

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruction (B, 3, H, W) before the sigmoid, for images (B, 3, H, W) in [0, 1] of any size."""
        height, width = image.shape[-2:]
        below, right = -height % self.factor, -width % self.factor
        padded = F.pad(image, (0, right, 0, below), mode="replicate") if below or right else image
        return self.decoder(self.encoder(padded))[..., :height, :width]

    def error(self, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Error of each pixel, mean over channels: (B, 1, H, W)."""
        if self.loss == "bce":
            error = F.binary_cross_entropy_with_logits(logits, image, reduction="none")
        else:
            difference = torch.sigmoid(logits) - image
            error = difference.abs() if self.loss == "l1" else difference.square()
        return error.mean(dim=1, keepdim=True)

    def training_loss(self, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Mean of :meth:`error` over the batch, without its map."""
        if self.loss == "bce":
            return F.binary_cross_entropy_with_logits(logits, image)
        return (F.l1_loss if self.loss == "l1" else F.mse_loss)(torch.sigmoid(logits), image)

    def raw(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One-sided score (B,) and error map (B, 1, H, W)."""
        anomaly_map = self.error(image, self.logits(image))
        if self.smooth > 1:
            anomaly_map = F.avg_pool2d(
                anomaly_map, self.smooth, stride=1, padding=self.smooth // 2, count_include_pad=False
            )
        values = anomaly_map.flatten(1)
        if self.score == "top":
            values = values.topk(max(1, round(self.top_share * values.shape[1])), dim=1).values
        return values.mean(dim=1), anomaly_map

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw score (B,) and map (B, 1, H, W) for images (B, 3, H, W) in [0, 1]."""
        score, anomaly_map = self.raw(image)
        if self.two_sided:
            score = (score - self.score_mean).abs() / self.score_std
        return InferenceBatch(pred_score=score, anomaly_map=anomaly_map)

    def fit_score(self, batches: Iterable[torch.Tensor]) -> None:
        """Take mean and standard deviation of the one-sided score over batches of normal images (B, 3, H, W)."""
        scores = torch.cat([self.raw(images)[0] for images in batches]).double()
        self.score_mean.copy_(scores.mean())
        self.score_std.copy_(scores.std(unbiased=False).clamp_min(1e-12))
