"""``Autoencoder``: training of the plain autoencoder in anomalib's engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer

from medanomaly.models.module import MedicalModel, pixels
from medanomaly_autoencoder.torch_model import AutoencoderModel


class Autoencoder(MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Plain convolutional autoencoder, trained on normal images alone.

    Args:
        stages: Number of halvings from image to code.
        width: Channels of the first stage.
        latent: Channels of the spatial code.
        norm: ``group`` or ``none``.
        loss: ``mse``, ``l1`` or ``bce``.
        smooth: Side in pixels of the square over which the error map is averaged; odd, 1 for none.
        score: ``mean`` of the error map, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages.
        two_sided: Score |s - mean| / sd of the training normals' scores: for data whose anomalies reconstruct better
            than health.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        seed: Seed of the weights and of everything that training draws.
        post_processor: The operating point; True for the default one.
        evaluator: Metrics that anomalib prints; True for the default ones.
        visualizer: What is written after a test; True for evidence, predictions and report.
    """

    def __init__(
        self,
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        loss: str = "mse",
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
        self.model: AutoencoderModel = self.seeded(
            seed, lambda: AutoencoderModel(stages, width, latent, norm, loss, smooth, score, top_share, two_sided)
        )
        self.needs_calibration = two_sided

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Mean reconstruction error of a batch."""
        del args, kwargs
        image = pixels(batch)
        loss = self.model.training_loss(image, self.model.logits(image))
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        options = {"lr": self.hparams["learning_rate"], "weight_decay": self.hparams["weight_decay"]}
        return torch.optim.Adam(self.model.parameters(), fused=True, **options)

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Score statistics of training normals, for the two-sided score."""
        del validation
        self.model.fit_score(train)
