"""``PerceptualAutoencoder``: training of the perceptual autoencoder in anomalib's engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer
from torch import nn

from medanomaly import distributed
from medanomaly.models import (
    ConvAutoencoder,
    FeatureNetwork,
    MapScore,
    MedicalModel,
    Normals,
    WeightsInCheckpoint,
    feature_network,
    pixels,
)
from medanomaly.models.backbone import deepest_layer
from medanomaly_perceptual_autoencoder.residual import ResidualAutoencoder
from medanomaly_perceptual_autoencoder.torch_model import PerceptualModel

STANDARDISE = ("train", "none")
#: Image size in pixels for which the layer is chosen before the data are known.
_USUAL_SIZE = 64


class PerceptualAutoencoder(WeightsInCheckpoint, MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Autoencoder trained on normal images alone, by the difference of a frozen network's features.

    Args:
        stages: Number of halvings from image to code.
        width: Channels of the first stage.
        latent: Channels of the spatial code.
        norm: ``group`` or ``none``.
        residual: Residual blocks in encoder and decoder.
        progressive: Train from the code outwards: in the first half of the steps one stage after another is faded in,
            and the compared layer moves up with them. Needs ``residual``.
        network: The frozen network, any of timm's.
        weights: Its weights: null for random ones, ``hub``, ``package``, or a ``.safetensors`` file by its path or by
            its name below ``$MEDANOMALY_WEIGHTS``.
        layer: Its layer in which images are compared, counted from 0; null for the deepest one with at least 12
            positions a side at the size of the data module's images.
        upsample: Factor by which images are enlarged for the frozen network.
        standardise: ``train`` standardises each channel of the features by its mean and standard deviation on the
            training normals, ``none`` leaves them as they are.
        pool: Side in positions of the feature map of the square over which features are averaged before they are
            compared, in training and in the score; odd, 1 for none, which is the paper's. A decoder of few numbers
            cannot put every texture back where it lay; the mean of a neighbourhood does not ask it to.
        relative: Divide the error by the mean size of the image's own features, as the paper does. Where anomalies
            themselves have strong features, the division takes away what tells them: false leaves it out.
        image_weight: Weight of the mean absolute error of pixels in the training loss; the score is without it.
        smooth: Side in positions of the feature map of the square over which the error map is averaged; odd, 1 for
            none.
        score: ``mean`` of the error map, which is the paper's score, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages.
        two_sided: Score |s - mean| / sd of the training normals' scores: for data whose anomalies reconstruct better
            than health.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        seed: Seed of the weights and of everything that training draws.
        post_processor: The operating point; True for the default one.
        evaluator: Metrics that anomalib prints; True for the default ones.
        visualizer: What is written after a test; True for evidence, predictions and report.

    Raises:
        BackboneError: if network, layer or weights cannot be had.
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        stages: int = 4,
        width: int = 16,
        latent: int = 16,
        norm: str = "group",
        residual: bool = False,
        progressive: bool = False,
        network: str = "tf_efficientnet_lite0",
        weights: str | None = None,  # noqa: ARG002 (kept in hparams)
        layer: int | None = None,
        upsample: int = 1,
        standardise: str = "train",
        pool: int = 1,
        relative: bool = True,
        image_weight: float = 0.0,
        smooth: int = 1,
        score: str = "mean",
        top_share: float = 0.02,
        two_sided: bool = False,
        learning_rate: float = 1e-3,  # noqa: ARG002 (kept in hparams)
        weight_decay: float = 0.0,  # noqa: ARG002 (kept in hparams)
        seed: int = 0,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(post_processor=post_processor, evaluator=evaluator, visualizer=visualizer)
        if standardise not in STANDARDISE:
            raise ValueError(f"standardise must be one of {', '.join(STANDARDISE)}, not '{standardise}'")
        if progressive and not residual:
            raise ValueError("progressive needs residual: true, whose stages can be faded in")

        def build() -> nn.Module:
            if residual:
                return ResidualAutoencoder(stages, width, latent, norm, progressive)
            return ConvAutoencoder(stages, width, latent, norm)

        scoring = MapScore(smooth, score, top_share, two_sided)
        layer = deepest_layer(network, _USUAL_SIZE * upsample) if layer is None else layer
        autoencoder, features = self.seeded(seed, build), self._features(layer)
        self.model: PerceptualModel = PerceptualModel(
            autoencoder, features, scoring, image_weight, upsample, pool, relative
        )
        self.needs_calibration = two_sided

    def _features(self, layer: int) -> FeatureNetwork:
        """The frozen network up to a layer; with all layers before it where training starts at the shallowest."""
        options = self.hparams
        layers = range(layer + 1) if options["progressive"] else [layer]
        return self.seeded(options["seed"], lambda: feature_network(options["network"], options["weights"], layers))

    def setup(self, stage: str) -> None:
        """Choose the layer by the size of the images where none was given, and keep the choice in the checkpoint."""
        super().setup(stage)
        reading = getattr(self.trainer.datamodule, "reading", None)
        if self.hparams["layer"] is None and reading is not None:
            layer = deepest_layer(self.hparams["network"], min(reading.size) * self.hparams["upsample"])
            self.hparams["layer"] = layer
            if layer != deepest_layer(self.hparams["network"], _USUAL_SIZE * self.hparams["upsample"]):
                self.model.use(self._features(layer))

    def on_fit_start(self) -> None:
        """Standardise the features once, before training."""
        super().on_fit_start()
        if self.hparams["standardise"] == "train":
            self.model.fit_features(Normals(self.trainer.datamodule, "train", self))
            distributed.sync_buffers(self.model)

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Grow."""
        del args, kwargs
        if self.hparams["progressive"]:
            done = self.global_step / self.trainer.estimated_stepping_batches
            stages = self.hparams["stages"]
            self.model.autoencoder.grown = min(float(stages), max(1.0, 2 * done * stages))

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Perceptual loss of a batch."""
        del args, kwargs
        image = pixels(batch)
        loss = self.model.training_loss(image)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image), sync_dist=True)
        return loss

    def on_validation_batch_end(self, outputs: Any, batch: Any, *args: Any, **kwargs: Any) -> None:
        """Log the loss of the validation normals, by which options are chosen where nothing is labelled."""
        del outputs, args, kwargs
        image = pixels(batch)[~batch.gt_label.bool()]
        # Logged without normals too, with weight 0: of several processes all must take part.
        loss = self.model.training_loss(image) if len(image) else torch.zeros((), device=self.device)
        self.log("val_loss", loss, on_epoch=True, batch_size=len(image), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        options = {"lr": self.hparams["learning_rate"], "weight_decay": self.hparams["weight_decay"]}
        return torch.optim.Adam(self.model.autoencoder.parameters(), fused=True, **options)

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Score statistics of training normals, for the two-sided score."""
        del validation
        self.model.fit_score(train)
