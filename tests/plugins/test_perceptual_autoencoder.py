"""PerceptualAutoencoder: the loss against its formula, features standardised, the layer by size, growth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from anomalib.engine import Engine
from lightning import Callback
from torch import nn

from medanomaly.data import Phantom
from medanomaly.models.backbone import BackboneError, FeatureNetwork, feature_network
from medanomaly.models.error_maps import MapScore
from medanomaly_perceptual_autoencoder import PerceptualAutoencoder
from medanomaly_perceptual_autoencoder.residual import ResidualAutoencoder
from medanomaly_perceptual_autoencoder.torch_model import PerceptualModel


class Grey(nn.Module):
    """A reconstruction that is half grey everywhere: logit 0."""

    def forward(self, image):
        return torch.zeros_like(image)


def features(layers=(1,)):
    torch.manual_seed(0)
    return feature_network("resnet10t", None, layers)


def model(**options):
    return PerceptualModel(Grey(), features(), MapScore(), **options)


def test_the_score_is_the_papers_ratio():
    network, image = model(), torch.rand(3, 3, 48, 48)
    network.fit_features([torch.rand(8, 3, 48, 48)])
    with torch.no_grad():
        got = network(image)
        scale = network.standardise[0]
        f, g = ((network.features(x)[0] - scale.mean) / scale.std for x in (image, torch.full_like(image, 0.5)))
    expected = (f - g).flatten(1).abs().sum(dim=1) / f.flatten(1).abs().sum(dim=1)
    torch.testing.assert_close(got.pred_score, expected)
    # Each image counts alike in the loss, however strong its features.
    torch.testing.assert_close(network.training_loss(image), expected.mean())
    # An integer enlargement leaves the map's mean as it is.
    torch.testing.assert_close(got.anomaly_map.mean(dim=(1, 2, 3)), expected)


def test_undivided_the_score_is_the_mean_difference_of_averaged_features():
    network, image = model(pool=3, relative=False), torch.rand(3, 3, 48, 48)
    network.fit_features([torch.rand(8, 3, 48, 48)])
    with torch.no_grad():
        got = network(image).pred_score
        scale = network.standardise[0]
        f, g = (network.features(x)[0] - scale.mean for x in (image, torch.full_like(image, 0.5)))
    difference = ((f - g) / scale.std).numpy()
    side = difference.shape[-1]
    means = np.zeros_like(difference)
    for i in range(side):
        for j in range(side):
            square = difference[..., max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
            means[..., i, j] = square.mean(axis=(2, 3))
    np.testing.assert_allclose(got, np.abs(means).mean(axis=(1, 2, 3)), rtol=1e-4)


def test_averaged_features_are_standardised_as_they_are_compared():
    network, batch = model(pool=5), torch.rand(6, 3, 48, 48)
    network.fit_features([batch])
    with torch.no_grad():
        values = network.standardised(batch).double()
    spread = values.std(dim=(0, 2, 3), unbiased=False)
    np.testing.assert_allclose(spread[spread > 0], 1, rtol=1e-4)


@pytest.mark.parametrize("pool", [0, 2])
def test_the_side_of_a_square_is_odd(pool):
    with pytest.raises(ValueError, match=f"pool={pool}"):
        model(pool=pool)


def test_pixels_are_weighed_into_the_loss_and_not_into_the_score():
    image = torch.rand(2, 3, 32, 32)
    plain, weighted = model(), model(image_weight=3.0)
    difference = weighted.training_loss(image) - plain.training_loss(image)
    torch.testing.assert_close(difference, 3 * (image - 0.5).abs().mean())
    assert torch.equal(weighted(image).pred_score, plain(image).pred_score)


def test_features_of_the_training_normals_have_mean_zero_and_deviation_one():
    network = PerceptualModel(Grey(), features((0, 2)), MapScore(), upsample=2)
    batches = [torch.rand(5, 3, 28, 28), torch.rand(3, 3, 28, 28) ** 2]
    network.fit_features(iter(batches))
    with torch.no_grad():
        values = torch.cat([network.standardised(batch) for batch in batches]).double()
    assert values.shape[-2:] == (7, 7)  # 28 px, enlarged to 56, at an eighth
    np.testing.assert_allclose(values.mean(dim=(0, 2, 3)), 0, atol=1e-4)
    with torch.no_grad():
        alive = torch.cat([network.features(network.enlarged(batch))[1] for batch in batches]).amax(dim=(0, 2, 3)) > 0
    assert alive.sum() > 64  # some channels of random weights never respond: they stay at zero
    np.testing.assert_allclose(values.std(dim=(0, 2, 3), unbiased=False), alive.double(), rtol=1e-4)


def test_identical_grey_training_images_leave_scores_finite():
    network = model()
    network.fit_features([torch.full((4, 3, 32, 32), 0.5)])
    with torch.no_grad():
        scores = network(torch.stack([torch.full((3, 32, 32), 0.5), torch.rand(3, 32, 32)])).pred_score
    assert torch.isfinite(scores).all()
    assert scores[1] > scores[0]


def test_the_frozen_network_gets_no_gradient_and_stays_frozen():
    network = PerceptualAutoencoder(stages=2, network="resnet10t").model.train()
    network.training_loss(torch.rand(2, 3, 32, 32)).backward()
    assert all(p.grad is None for p in network.features.parameters())
    assert all(p.grad is not None for p in network.autoencoder.parameters())
    assert not network.features.training


@pytest.mark.parametrize("grown", [1.0, 1.25, 1.75, 2.0, 3.0])
def test_a_grown_part_gives_a_smaller_picture_and_uses_the_inner_layers_alone(grown):
    torch.manual_seed(0)
    network = ResidualAutoencoder(3, 8, 4, "group", progressive=True)
    network.grown = grown
    image = torch.rand(2, 3, 50, 32)
    out = network(image)
    shrink = 2 ** (3 - int(np.ceil(grown)))
    assert out.shape == (2, 3, -(-50 // shrink), 32 // shrink)
    out.sum().backward()
    used = [any(p.grad is not None for p in block.parameters()) for block in network.down]
    assert used == [i >= 3 - np.ceil(grown) for i in range(3)]


def test_growth_goes_on_without_a_leap():
    torch.manual_seed(0)
    network = ResidualAutoencoder(3, 8, 4, "group", progressive=True).eval()
    image = torch.rand(1, 3, 32, 32)
    out = []
    for network.grown in (1.0, 1.0 + 1e-6, 1.5 - 1e-6, 1.5):
        with torch.no_grad():
            out.append(network(image))
    # A stage that begins shows the old picture, enlarged; one that is faded in fully shows the new one alone.
    torch.testing.assert_close(out[1], nn.functional.interpolate(out[0], scale_factor=2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out[2], out[3], rtol=1e-4, atol=1e-4)


def test_growth_is_in_the_state():
    network, other = (ResidualAutoencoder(3, 8, 4, "group", progressive=True) for _ in range(2))
    network.grown = 1.5
    other.load_state_dict(network.state_dict())
    assert other.grown == 1.5


def test_the_compared_layer_moves_up_as_stages_grow():
    network = PerceptualModel(ResidualAutoencoder(3, 8, 4, "group", True), features((0, 1, 2)), MapScore())
    compared = []
    for network.autoencoder.grown in (1.0, 1.5, 2.0, 2.1, 3.0):
        compared.append(network.compared)
    assert compared == [0, 1, 1, 2, 2]


class Watch(Callback):
    """Growth and validation loss of each epoch."""

    def __init__(self):
        self.grown, self.loss = [], []

    def on_train_epoch_end(self, trainer, pl_module):
        self.grown.append(getattr(pl_module.model.autoencoder, "grown", None))
        self.loss.append(float(trainer.callback_metrics["val_loss"]))


def trained(tmp_path, size, **options):
    watch = Watch()
    network = PerceptualAutoencoder(stages=3, width=8, **options)
    frames = Phantom(root=tmp_path, train=8, val=4, test=4, image_size=size, train_batch_size=4)
    arguments = {"enable_progress_bar": False, "accelerator": "cpu", "logger": False}
    Engine(max_epochs=4, callbacks=[watch], default_root_dir=tmp_path, **arguments).train(network, datamodule=frames)
    return network, watch


def test_the_layer_follows_the_images_and_is_kept_in_the_checkpoint(tmp_path):
    network, watch = trained(tmp_path, 96, progressive=True, residual=True, two_sided=True)
    assert network.hparams["layer"] == 2
    assert watch.grown == sorted(watch.grown)
    assert watch.grown[0] < 3
    assert watch.grown[-1] == 3
    assert np.isfinite(watch.loss).all()
    again = PerceptualAutoencoder.load_from_checkpoint(next(tmp_path.rglob("tested.ckpt"))).eval()
    assert again.hparams["layer"] == 2
    image = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(again.model(image).pred_score, network.eval().model(image).pred_score)


def test_a_checkpoint_loads_when_the_weights_file_is_gone(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    monkeypatch.setenv("MEDANOMALY_WEIGHTS", str(tmp_path))
    source = features((0,)).network.model
    save_file({k: v.contiguous() for k, v in source.state_dict().items()}, tmp_path / "w.safetensors")
    options = {"network": "resnet10t", "weights": "w.safetensors", "layer": 0}
    trained(tmp_path, 32, **options)
    (tmp_path / "w.safetensors").unlink()
    with pytest.raises(BackboneError, match="no such file"):
        PerceptualAutoencoder(**options)
    again = PerceptualAutoencoder.load_from_checkpoint(next(tmp_path.rglob("tested.ckpt")))
    assert isinstance(again.model.features, FeatureNetwork)
    for a, b in zip(again.model.features.parameters(), source.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardise": "batch"}, "standardise must be one of train, none"),
        ({"progressive": True}, "progressive needs residual: true"),
        ({"upsample": 0}, "upsample >= 1"),
        ({"network": "vgg61"}, "no network 'vgg61'.*vgg16"),
        ({"layer": 9}, "has layers 0 to 4"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        PerceptualAutoencoder(**options)
