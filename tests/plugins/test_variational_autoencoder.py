"""What the variational autoencoder has beyond what every model must do."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from medanomaly_variational_autoencoder import VariationalAutoencoder
from medanomaly_variational_autoencoder.context_encoding import hidden
from medanomaly_variational_autoencoder.torch_model import kl_map

SMALL = {"stages": 2, "width": 4, "latent": 3}


def test_kl_is_that_of_torchs_distributions():
    mean, log_variance = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(dim=1, keepdim=True)
    torch.testing.assert_close(kl_map(mean, log_variance), expected)


@pytest.mark.parametrize("score", ["elbo", "reconstruction", "kl", "sum"])
def test_scores_are_made_of_their_parts(score):
    model = VariationalAutoencoder(score=score, **SMALL).eval()
    image = torch.rand(5, 3, 16, 16)
    with torch.no_grad():
        if score == "sum":
            model.calibrate([image], [])
        scored, parts = model.model.scored(image)
    reconstruction, kl = parts.T
    expected = {
        "elbo": reconstruction + 0.005 / (3 * 16 * 16) * kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "sum": ((parts - parts.mean(0)) / parts.std(0, unbiased=False)).sum(1),
    }[score]
    torch.testing.assert_close(scored.pred_score, expected, rtol=1e-3, atol=1e-3)
    assert scored.anomaly_map.shape == (5, 1, 16, 16)


def test_context_hides_squares_and_leaves_the_rest():
    torch.manual_seed(0)
    image = torch.rand(200, 3, 20, 20)
    changed = (hidden(image, 0.5) != image).any(dim=1).flatten(1).sum(dim=1)
    assert (changed >= 1).all()
    assert (changed <= 3 * 10 * 10).all()
    assert changed.float().mean() > 10


def test_a_dense_code_and_images_that_pay_no_kl():
    torch.manual_seed(0)
    model = VariationalAutoencoder(code="dense", image_size=16, context=1.0, beta=1e9, **SMALL).model
    assert float(model.training_loss(torch.rand(4, 3, 16, 16))) < 1  # all hidden: the huge beta weighs nothing


@pytest.mark.parametrize(
    ("options", "named"),
    [({"score": "x"}, "score must be"), ({"beta": -1.0}, "beta"), ({"loss": "ssim"}, "loss must be"),
     ({"error": "relative"}, "set score to sum"), ({"context": 2.0}, "context")],
)  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        VariationalAutoencoder(**options)
