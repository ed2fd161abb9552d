"""The Keras blog's autoencoder at 28 px, which the study on MNIST and MedMNIST used."""

from __future__ import annotations

import torch
from torch import nn

from medanomaly.options import OptionError

#: The only side in pixels that the decoder's one unpadded convolution leads back to.
SIDE = 28


def _convolution(channels: int, out: int, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, padding=padding), nn.ReLU()]


class StudyAutoencoder(nn.Module):
    """The convolutional autoencoder of *Building Autoencoders in Keras* (Chollet, blog.keras.io, 2016).

    Three 3×3 convolutions of 16, 8 and 8 channels, each followed by 2×2 max-pooling, give a code of 8×4×4; three of 8,
    8 and 16, each followed by upsampling, and a last one give the image back. 4,385 weights, drawn as Keras draws them.
    It sees grey: the three channels are averaged, and the reconstruction is the same in all three.
    """

    def __init__(self) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        for channels, out in ((1, 16), (16, 8), (8, 8)):
            # Rounded up, as Keras pads: 28, 14, 7, 4.
            encoder += [*_convolution(channels, out), nn.MaxPool2d(2, ceil_mode=True)]
        decoder: list[nn.Module] = []
        for channels, out, padding in ((8, 8, 1), (8, 8, 1), (8, 16, 0)):
            # The last one is not padded: 4, 8, 16, 14, 28.
            decoder += [*_convolution(channels, out, padding), nn.Upsample(scale_factor=2, mode="nearest")]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(16, 1, 3, padding=1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Code (B, 8, 4, 4) of images (B, 3, 28, 28) in [0, 1].

        Raises:
            ValueError: for images of another size.
        """
        height, width = image.shape[-2:]
        if (height, width) != (SIDE, SIDE):
            raise OptionError(
                f"the study's network takes {SIDE}×{SIDE} px, the images have {height}×{width} px. Set "
                f"data.init_args.image_size to {SIDE}, or model.init_args.network to conv"
            )
        return self.encoder(image.mean(dim=1, keepdim=True))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Reconstruction (B, 3, 28, 28) before the sigmoid, for images (B, 3, 28, 28) in [0, 1]."""
        return self.decoder(self.encode(image)).expand(-1, 3, -1, -1)
