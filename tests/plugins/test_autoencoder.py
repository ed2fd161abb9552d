"""What the plain autoencoder has beyond what every model must do."""

from __future__ import annotations

import pytest
import torch

from medanomaly_autoencoder import Autoencoder
from medanomaly_autoencoder.keras_blog import StudyAutoencoder
from medanomaly_autoencoder.noise import noisy


def test_the_studys_network_is_that_of_the_keras_blog():
    network = StudyAutoencoder()
    image = torch.rand(2, 3, 28, 28)
    assert network.encode(image).shape == (2, 8, 4, 4)
    assert network(image).shape == (2, 3, 28, 28)
    assert sum(p.numel() for p in network.parameters()) == 4385
    with pytest.raises(ValueError, match=r"takes 28×28 px, the images have 32×32 px"):
        network(torch.rand(1, 3, 32, 32))


def test_noise_is_coarse_of_the_asked_strength_and_keeps_grey_images_grey():
    torch.manual_seed(0)
    grey = torch.full((64, 3, 32, 32), 0.5)
    fine = noisy(grey, 0.2, None) - grey
    assert float(fine.std()) == pytest.approx(0.2, rel=0.05)
    assert torch.equal(fine[:, 0], fine[:, 2])
    coarse = noisy(grey, 0.2, 4) - grey
    assert float((coarse[..., 1:] - coarse[..., :-1]).abs().mean()) < 0.3 * float(
        (fine[..., 1:] - fine[..., :-1]).abs().mean()
    )
    colour = torch.rand(4, 3, 8, 8)
    added = noisy(colour, 0.2, None) - colour
    assert not torch.allclose(added[:, 0], added[:, 1])


def test_noise_is_for_training_alone():
    model = Autoencoder(stages=2, width=4, noise=0.3, noise_size=4).model
    image = torch.rand(2, 3, 16, 16)
    assert not torch.equal(model.corrupted(image), image)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(image).pred_score, model(image).pred_score)
    assert torch.equal(Autoencoder(stages=2, width=4).model.corrupted(image), image)


def test_statistics_of_the_two_sided_score_come_from_the_named_split():
    train, validation = [torch.rand(8, 3, 16, 16)], [torch.zeros(8, 3, 16, 16)]
    for split, batches in (("train", train), ("val", validation)):
        model = Autoencoder(stages=2, width=4, two_sided=True, two_sided_from=split).eval()
        with torch.no_grad():
            model.calibrate(train, validation)
            expected = model.model.score.one_sided(model.model.errors(batches[0]))[0].mean()
        assert float(model.model.score.mean) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"network": "x"}, "network must be"), ({"schedule": "x"}, "schedule must be"), ({"noise": -1.0}, "noise >= 0"),
     ({"code": "dense"}, "image_size"), ({"two_sided_from": "test"}, "train or val"), ({"loss": "relative"}, "loss")],
)  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        Autoencoder(**options)
