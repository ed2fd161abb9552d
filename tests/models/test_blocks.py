"""The convolutional autoencoder that plugins share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medanomaly.models.blocks import ConvAutoencoder, GroupNorm, conv_block, dense_image_side


@pytest.mark.parametrize("size", [(28, 28), (50, 41), (64, 64)])
def test_any_size_comes_back_at_its_size(size):
    network = ConvAutoencoder(stages=3, width=4, latent=5)
    image = torch.rand(2, 3, *size)
    assert network.encode(image).shape == (2, 5, -(-size[0] // 8), -(-size[1] // 8))
    assert network(image).shape == image.shape


def test_a_dense_code_is_one_vector_and_of_one_size():
    network = ConvAutoencoder(stages=3, width=4, latent=5, dense=28, heads=2)
    assert network.encode(torch.rand(2, 3, 28, 28)).shape == (2, 10, 1, 1)
    assert network.decode(torch.rand(2, 5, 1, 1), (28, 28)).shape == (2, 3, 28, 28)
    with pytest.raises(ValueError, match="built for 28 px, the images have 32×32"):
        network.encode(torch.rand(1, 3, 32, 32))


def test_group_norm_is_torchs_in_either_layout():
    x = torch.rand(2, 12, 6, 6)
    ours, torchs = GroupNorm(12), nn.GroupNorm(6, 12)
    torch.testing.assert_close(ours(x), torchs(x))
    last = ours(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, torchs(x))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="norm must be one of"):
        conv_block(nn.Conv2d(1, 1, 1), 1, "batch")
    with pytest.raises(ValueError, match="stages=0"):
        ConvAutoencoder(stages=0)
    with pytest.raises(ValueError, match="code must be one of"):
        dense_image_side("flat", 28)
    with pytest.raises(ValueError, match="needs model.init_args.image_size"):
        dense_image_side("dense", None)
    assert dense_image_side("spatial", 28) is None
