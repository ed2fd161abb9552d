"""Encoder and decoder, with the small convolutional encoder or a pretrained backbone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from medanomaly.models import ConvAutoencoder, FeatureNetwork, feature_network
from medanomaly.models.backbone import reductions
from medanomaly.models.blocks import GroupNorm, dense_image_side

#: Images that a frozen backbone is given at a time: VGG16's first layers make 100 MB of eight images of 224 px, and
#: asking the system for that memory again and again costs a tenth of the time.
_AT_A_TIME = 4


class Network(ConvAutoencoder):
    """The convolutional autoencoder, its encoder in two parts: what no phase of training changes, and the rest."""

    def fixed(self, image: torch.Tensor) -> torch.Tensor:
        """What every phase starts from, of images (B, 3, H, W): the images themselves."""
        return image

    def code_of(self, fixed: torch.Tensor) -> torch.Tensor:
        """Code (B, latent, h, w) from what :meth:`fixed` gave."""
        return self.encode(fixed)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that the generator phase trains."""
        return self.encoder.parameters()


class BackboneNetwork(Network):
    """A pretrained network without its classifier, a convolution to the code, and a decoder that mirrors both.

    VGG16 makes 512×7×7 of 224 px; a 1×1 convolution to ``latent`` = 7 channels makes the code 7×7×7.

    Args:
        backbone: The network, up to the layer in use.
        trainable: Train it too; its normalisation statistics stay as they are.
        width, latent, norm, dense: As for :class:`~medanomaly.models.blocks.ConvAutoencoder`.
    """

    def __init__(
        self, backbone: FeatureNetwork, trainable: bool, width: int, latent: int, norm: str, dense: int | None
    ) -> None:
        super().__init__(round(math.log2(backbone.reductions[-1])), width, latent, norm, dense)
        self.trainable, channels = trainable, backbone.channels[-1]
        # Channels last in memory: VGG16 takes two thirds of the time on a CPU.
        backbone = backbone.requires_grad_(trainable).to(memory_format=torch.channels_last)
        self.encoder = nn.Sequential(backbone, _Last())
        side = -(-dense // self.factor) if dense else 1
        # Activations of some weight files are in the hundreds: normalised, one learning rate serves all.
        scale = GroupNorm(channels) if norm == "group" else nn.Identity()
        self.head = nn.Sequential(scale, nn.Conv2d(channels, latent, side))

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Code (B, latent, h, w) of images (B, 3, H, W) in [0, 1]."""
        return self.head(self._features(image))

    def fixed(self, image: torch.Tensor) -> torch.Tensor:
        """Features of a frozen backbone: they cost most of a step, and every phase uses the same."""
        return image if self.trainable else self._features(image)

    def _features(self, image: torch.Tensor) -> torch.Tensor:
        if self.trainable or len(image) <= _AT_A_TIME:
            return super().encode(image)
        return torch.cat([super(BackboneNetwork, self).encode(part) for part in image.split(_AT_A_TIME)])

    def code_of(self, fixed: torch.Tensor) -> torch.Tensor:
        """Code (B, latent, h, w) from what :meth:`fixed` gave."""
        return self.encode(fixed) if self.trainable else self.head(fixed)

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that the generator phase trains."""
        yield from self.head.parameters()
        if self.trainable:
            yield from self.encoder.parameters()


class _Last(nn.Module):
    """The last of a list of feature maps."""

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        return features[-1]


def network(
    stages: int,
    width: int,
    latent: int,
    norm: str,
    code: str,
    image_size: int | None,
    backbone: str | None,
    weights: str | None,
    trainable: bool,
) -> Network:
    """The network for the options of the same names; with a backbone, it decides the number of stages.

    Raises:
        ValueError: for an option out of range, or a backbone or weights that cannot be had.
    """
    dense = dense_image_side(code, image_size)
    if backbone is None:
        return Network(stages, width, latent, norm, dense)
    deepest = len(reductions(backbone)) - 1
    return BackboneNetwork(feature_network(backbone, weights, [deepest]), trainable, width, latent, norm, dense)
