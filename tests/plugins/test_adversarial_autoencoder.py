import numpy as np
import pytest
import torch
from anomalib.data import ImageBatch
from anomalib.engine import Engine

import medanomaly.data as data
from medanomaly.edge.detector import core
from medanomaly.export.write_bundle import to_openvino
from medanomaly.models.error_maps import positive_score
from medanomaly_adversarial_autoencoder import AdversarialAutoencoder
from medanomaly_adversarial_autoencoder.criterion import Criterion
from medanomaly_adversarial_autoencoder.rejection import Rejection

SMALL = {"stages": 3, "width": 8, "latent": 4}
#: An image is flagged by Beggel's rule where its score is above this: z > 1.
GOLDEN = (1 + 5**0.5) / 2


def phantom(tmp_path, **options):
    sizes = {"train": 40, "val": 12, "test": 4, "image_size": 32, "train_batch_size": 8} | options
    return data.Phantom(root=tmp_path / "frames", **sizes)


def trained(tmp_path, epochs: int, **options) -> AdversarialAutoencoder:
    model = AdversarialAutoencoder(**(SMALL | options))
    engine = Engine(
        max_epochs=epochs, default_root_dir=tmp_path, enable_progress_bar=False, accelerator="cpu", logger=False
    )
    engine.fit(model, datamodule=phantom(tmp_path))
    return model.eval()


def images(number: int, size: int = 32) -> torch.Tensor:
    return torch.rand(number, 3, size, size, generator=torch.manual_seed(0))


def test_positive_is_the_root_and_keeps_every_order():
    z = torch.cat([-torch.logspace(6, -3, 50), torch.zeros(1), torch.logspace(-3, 6, 50)])
    value = positive_score(z)
    assert (value > 0).all()
    assert (value.diff() > 0).all()
    torch.testing.assert_close(value.double() - 1 / value.double(), z.double(), rtol=1e-5, atol=1e-6)


def test_either_is_beggels_rule_at_the_anchor():
    normal = torch.from_numpy(np.random.default_rng(0).gamma(2.0, size=(200, 2)) * [100, 0.01]).float()
    criterion = Criterion("either")
    criterion.fit(normal)
    new = 1.5 * normal
    high = normal.quantile(0.9, dim=0)
    assert torch.equal(criterion(new) > GOLDEN, (new > high).any(dim=1))
    assert float((criterion.calibrated(normal) > 1).float().mean(dim=0).sub(0.1).abs().max()) < 0.01


@pytest.mark.parametrize("name", ["either", "sum", "density", "reconstruction"])
def test_beyond_the_validation_normals_scores_keep_their_order(name):
    criterion = Criterion(name)
    criterion.fit(torch.rand(50, 2))
    far = torch.logspace(1, 6, 40)[:, None] * torch.ones(1, 2)
    assert (criterion(far).diff() > 0).all()
    assert (criterion(-far).diff() < 0).all()


def test_one_part_alone_takes_no_notice_of_the_other():
    parts, other = torch.rand(50, 2), torch.rand(50, 2)
    for column, name in enumerate(("density", "reconstruction")):
        criterion = Criterion(name)
        criterion.fit(parts)
        mixed = other.clone()
        mixed[:, column] = parts[:, column]
        assert torch.equal(criterion(mixed), criterion(parts))


@pytest.mark.parametrize("parts", [torch.zeros(0, 2), torch.full((3, 2), torch.nan)])
def test_a_criterion_cannot_be_calibrated_on_nothing(parts):
    with pytest.raises(ValueError, match="normal validation images"):
        Criterion().fit(parts)


@pytest.mark.parametrize("density", ["prior", "kde", "gaussian"])
def test_openvino_equals_torch_when_trained_and_calibrated(tmp_path, density):
    model = trained(tmp_path, 2, density=density)
    assert float(model.model.criterion.scale[1]) != 1
    module = phantom(tmp_path)
    module.setup()
    batch = torch.cat([b.image.as_subclass(torch.Tensor) for b in module.test_dataloader()] + [images(4)])
    batch = torch.cat([batch, torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)])
    with torch.no_grad():
        scored, parts = model.model.scored(batch)
    compiled = core().compile_model(to_openvino(model.model, (32, 32)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = [compiled(image[None].numpy()) for image in batch]
    np.testing.assert_allclose([f[0][0] for f in found], scored.pred_score, rtol=1e-4)
    np.testing.assert_allclose([f[2][0] for f in found], parts, rtol=1e-4)


@pytest.mark.parametrize("density", ["kde", "gaussian"])
def test_training_images_that_are_all_the_same_give_finite_scores(density):
    model = AdversarialAutoencoder(density=density, **SMALL)
    same = torch.full((8, 3, 32, 32), 0.4)
    with torch.no_grad():
        model.calibrate([same], [same[:4]])
        score = model.model(torch.cat([same[:1], images(2), torch.zeros(1, 3, 32, 32)])).pred_score
    assert torch.isfinite(score).all()
    assert (score[1:] > score[0]).all()


def codes_after(tmp_path, rate: float) -> torch.Tensor:
    options = {"code": "dense", "image_size": 32, "latent": 2, "norm": "none", "density": "prior"}
    model = trained(tmp_path, 100, adversarial_learning_rate=rate, **options)
    module = phantom(tmp_path)
    module.setup()
    with torch.no_grad():
        return torch.cat([model.model.codes(b.image.as_subclass(torch.Tensor)) for b in module.train_dataloader()])


def test_the_adversarial_phases_bring_the_codes_to_the_prior(tmp_path):
    """To N(0, 1) in each of two dimensions, within the noise of a short training; without them codes lie far off."""
    with_phases, without = codes_after(tmp_path, 1e-3), codes_after(tmp_path, 0.0)
    assert float(with_phases.mean(dim=0).norm()) < 1.5
    assert ((with_phases.std(dim=0) > 0.5) & (with_phases.std(dim=0) < 2)).all()
    assert float(without.square().mean().sqrt()) > 6


def test_without_adversarial_rate_the_discriminator_is_left_alone(tmp_path):
    model = trained(tmp_path, 1, adversarial_learning_rate=0.0)
    fresh = AdversarialAutoencoder(**SMALL)
    for after, before in zip(model.discriminator.parameters(), fresh.discriminator.parameters(), strict=True):
        assert torch.equal(after, before)


def test_rounds_come_after_pretraining_at_their_distance():
    rejection = Rejection("quantile", pretrain_epochs=4, rounds=3, every=2)
    assert [rejection.round_at(epoch) for epoch in range(12)] == [0, 0, 0, 0, 1, 0, 2, 0, 3, 0, 0, 0]
    assert rejection.last_epoch == 10
    assert not any(Rejection().round_at(epoch) for epoch in range(50))


def test_the_least_likely_share_is_rejected():
    density = np.arange(100.0)[::-1]
    assert np.flatnonzero(Rejection("quantile", share=0.05).rejected(np.zeros((100, 2)), density)).tolist() == [
        95, 96, 97, 98, 99,
    ]  # fmt: skip


def test_the_one_class_svm_rejects_what_lies_outside():
    codes = np.random.default_rng(0).normal(size=(400, 2))
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    codes[:8] = 7 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    out = Rejection("ocsvm", share=0.05).rejected(codes, np.zeros(400))
    assert out[:8].sum() >= 6
    assert out.mean() < 0.08


def test_only_rejected_images_with_large_errors_are_pushed_away():
    errors = np.arange(10.0)
    assert np.flatnonzero(Rejection(weight=-0.1).pushed(errors)).tolist() == [8, 9]
    assert not Rejection(weight=0.0).pushed(errors).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rejection": "knn"}, "rejection must be"),
        ({"rejection_share": 1.0}, "rejection_share"),
        ({"rejection_weight": 0.5}, "rejection_weight"),
        ({"rejection_weight": -1.0, "loss": "bce"}, "no largest error"),
        ({"density": "knn"}, "density must be"),
        ({"criterion": "both"}, "criterion must be"),
        ({"loss": "structure"}, "loss must be"),
        ({"error": "psnr"}, "error must be"),
        ({"code": "dense"}, "image_size"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder(**(SMALL | options))


PLAN = {"pretrain_epochs": 1, "rejection_rounds": 2, "rejection_every": 1, "rejection_share": 0.1, "minimum_kept": 8}


@pytest.mark.parametrize(
    ("epochs", "options", "message"),
    [
        (5, {"minimum_kept": 40}, "would leave 32 of 40 training images.*minimum_kept=40"),
        (2, {}, "max_epochs=2 ends before"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused_before_training(tmp_path, epochs, options, message):
    with pytest.raises(ValueError, match=message):
        trained(tmp_path, epochs, rejection="quantile", **(PLAN | options))


@pytest.mark.parametrize("method", ["quantile", "ocsvm"])
def test_rejected_images_are_listed_left_out_and_pushed_away(tmp_path, method):
    model = trained(tmp_path, 4, rejection=method, rejection_weight=-0.1, **PLAN)
    rows = model.findings["rejected"]
    paths = {row["path"] for row in rows}
    assert len(paths) == len(rows) >= 4
    assert {row["round"] for row in rows} <= {1, 2}
    assert {row["weight"] for row in rows} == {0.0, -0.1}
    module = phantom(tmp_path)
    module.setup()
    batches = list(module.normals_dataloader("train"))
    kept = torch.cat(
        [b.image.as_subclass(torch.Tensor)[torch.tensor([p not in paths for p in b.image_path])] for b in batches]
    )
    assert len(kept) == 40 - len(rows)
    with torch.no_grad():
        torch.testing.assert_close(model.model.density.mean, model.model.codes(kept).mean(dim=0), rtol=1e-4, atol=1e-5)
    left, pushed = model._weighed(batches[0])
    weights = {row["path"]: row["weight"] for row in rows}
    assert len(left) == sum(p not in weights for p in batches[0].image_path)
    assert len(pushed) == sum(weights.get(p, 0) < 0 for p in batches[0].image_path)


def test_rejected_images_come_back_with_the_checkpoint(tmp_path):
    model = trained(tmp_path, 3, rejection="quantile", **PLAN)
    again = AdversarialAutoencoder.load_from_checkpoint(next(tmp_path.rglob("*.ckpt")))
    assert again.findings["rejected"] == model.findings["rejected"]
    path = model.findings["rejected"][0]["path"]
    batch = ImageBatch(image=images(2), gt_label=torch.zeros(2).bool(), image_path=[path, "another"])
    assert torch.equal(again._weighed(batch)[0], images(2)[1:])


def test_a_frozen_backbone_stays_as_it_is_and_a_trainable_one_does_not(tmp_path):
    start = AdversarialAutoencoder(backbone="vgg16", width=4, latent=7).model.network.encoder.state_dict()
    for trainable in (False, True):
        model = trained(tmp_path / str(trainable), 1, backbone="vgg16", width=4, latent=7, backbone_trainable=trainable)
        after = model.model.network.encoder.state_dict()
        assert all(torch.equal(after[key], value) for key, value in start.items()) != trainable
        with torch.no_grad():
            assert model.model.network.encode(images(1, 64)).shape == (1, 7, 2, 2)


@pytest.mark.real
def test_a_frozen_backbone_gives_a_large_batch_what_it_gives_each_image():
    network = AdversarialAutoencoder(backbone="resnet10t", width=4, latent=7).model.network.eval()
    images = torch.rand(9, 3, 64, 64)
    with torch.no_grad():
        together = network.encode(images)
        alone = torch.cat([network.encode(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_vgg16_run_reloads_without_its_weights(tmp_path, monkeypatch):
    import os

    if not os.environ.get("MEDANOMALY_WEIGHTS"):
        pytest.skip("MEDANOMALY_WEIGHTS is not set")
    file = "vgg16_imagenet_features_fp16.safetensors"
    model = trained(tmp_path, 1, backbone="vgg16", weights=file, width=4, latent=7)
    monkeypatch.delenv("MEDANOMALY_WEIGHTS")
    again = AdversarialAutoencoder.load_from_checkpoint(next(tmp_path.rglob("*.ckpt"))).eval()
    with torch.no_grad():
        assert torch.equal(again.model(images(2)).pred_score, model.model(images(2)).pred_score)
    compiled = core().compile_model(to_openvino(model.model, (32, 32)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        expected = model.model(images(2)).pred_score
    np.testing.assert_allclose([compiled(i[None].numpy())[0][0] for i in images(2)], expected, rtol=1e-4)
