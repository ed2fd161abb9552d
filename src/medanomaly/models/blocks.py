"""Convolutional layers, encoder and decoder that the networks of several plugins are built from."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly._moved import old_names
from medanomaly.options import OptionError

__getattr__ = old_names(__name__)

NORMS = ("group", "none")
CODES = ("spatial", "dense")


class GroupNorm(nn.GroupNorm):
    """``torch.nn.GroupNorm`` with at most eight groups, computed in the memory layout in which it is fast.

    On a CPU torch 2.14 takes two to five times as long for it on channels-last tensors, more than both copies cost;
    convolutions and upsampling are the faster ones there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0), channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, H, W)."""
        normalised = super().forward(x.contiguous())
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        return normalised.contiguous(memory_format=torch.channels_last) if channels_last else normalised


def conv_block(layer: nn.Module, channels: int, norm: str = "group") -> nn.Sequential:
    """A convolution of ``channels`` outputs, its norm and LeakyReLU(0.2).

    No BatchNorm: running statistics gone stale ruined one training in three.

    Raises:
        ValueError: for a norm that is none of ``NORMS``.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, not '{norm}'")
    return nn.Sequential(layer, GroupNorm(channels) if norm == "group" else nn.Identity(), nn.LeakyReLU(0.2))


def upsample_block(channels: int, out: int, norm: str = "group") -> list[nn.Module]:
    """Twice the size, then a 3×3 convolution: transposed convolutions leave a chequered error map."""
    return [
        nn.Upsample(scale_factor=2, mode="nearest"),
        conv_block(nn.Conv2d(channels, out, 3, padding=1), out, norm),
    ]


def dense_image_side(code: str, image_size: int | None) -> int | None:
    """``dense`` of :class:`ConvAutoencoder` for the options ``code``, one of ``CODES``, and ``image_size``.

    Raises:
        ValueError: for an unknown code, or a dense one without ``image_size``.
    """
    if code not in CODES:
        raise ValueError(f"code must be one of {', '.join(CODES)}, not '{code}'")
    if code == "dense" and not image_size:
        raise ValueError("a dense code needs model.init_args.image_size, equal to data.init_args.image_size")
    return image_size if code == "dense" else None


class ConvAutoencoder(nn.Module):
    """Encoder of 4×4 convolutions of stride 2, and a decoder that mirrors it with upsampling and 3×3 convolutions.

    Args:
        stages: Number of halvings; a spatial code is 2^stages times smaller than the image in each direction.
        width: Channels of the first stage; each further stage has twice as many, at most eight times ``width``.
        latent: Channels of the code.
        norm: ``group`` or ``none``. GroupNorm takes each image's own brightness out of every layer; a code of few
            numbers keeps it better without.
        dense: Side in pixels of the square images of a dense code (B, latent, 1, 1); None for a spatial code, which
            takes images of any size.
        heads: Codes that the encoder gives at once, (B, heads × latent, h, w): 2 for mean and variance.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        dense: int | None = None,
        heads: int = 1,
    ) -> None:
        super().__init__()
        if min(stages, width, latent, heads) < 1:
            raise ValueError(
                f"need stages, width, latent, heads >= 1; got stages={stages}, width={width}, latent={latent}, "
                f"heads={heads}"
            )
        self.factor, self.dense, self.latent = 2**stages, dense, latent
        widths = [min(width * 2**i, width * 8) for i in range(stages)]
        encoder: list[nn.Module] = []
        channels = 3
        for out in widths:
            encoder.append(conv_block(nn.Conv2d(channels, out, 4, stride=2, padding=1), out, norm))
            channels = out
        side = -(-dense // self.factor) if dense else 1
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(channels, heads * latent, side))
        # Of a dense code the first layer spreads it over the smallest map.
        spread = nn.ConvTranspose2d(latent, channels, side) if dense else nn.Conv2d(latent, channels, 1)
        decoder: list[nn.Module] = [conv_block(spread, channels, norm)]
        for out in widths[-2::-1]:
            decoder += upsample_block(channels, out, norm)
            channels = out
        # At full size only the last convolution: a block there would cost as much as all the others together.
        self.decoder = nn.Sequential(
            *decoder, nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, 3, 3, padding=1)
        )

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Code (B, heads × latent, h, w) of images (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: if the code is dense and the images have another size than ``dense``.
        """
        height, width = image.shape[-2:]
        if self.dense and (height, width) != (self.dense, self.dense):
            raise OptionError(
                f"the dense code was built for {self.dense} px, the images have {height}×{width} px. Set "
                "model.init_args.image_size to data.init_args.image_size, or use a spatial code"
            )
        below, right = -height % self.factor, -width % self.factor
        padded = F.pad(image, (0, right, 0, below), mode="replicate") if below or right else image
        return self.encoder(padded)

    def decode(self, code: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Reconstruction (B, 3, H, W) before the sigmoid, of ``size`` (H, W), from a code (B, latent, h, w)."""
        return self.decoder(code)[..., : size[0], : size[1]]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruction (B, 3, H, W) before the sigmoid, for images (B, 3, H, W) in [0, 1]."""
        return self.decode(self.encode(image), (image.shape[-2], image.shape[-1]))
