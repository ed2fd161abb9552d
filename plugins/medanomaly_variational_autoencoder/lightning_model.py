"""``VariationalAutoencoder``: training of the variational autoencoder in anomalib's engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer

from medanomaly.models import ConvAutoencoder, MedicalModel, pixels
from medanomaly.models.blocks import dense_image_side
from medanomaly.models.optimiser import adam, check_schedule
from medanomaly_variational_autoencoder.torch_model import VariationalAutoencoderModel


class VariationalAutoencoder(MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Variational autoencoder (Kingma, Welling, ICLR 2014), trained on normal images alone.

    Args:
        stages: Number of halvings from image to code.
        width: Channels of the first stage.
        latent: Channels of the code.
        norm: ``group`` or ``none``.
        code: ``spatial``, for images of any size, or ``dense``: ``latent`` numbers for the whole image.
        image_size: Side in pixels of the square images; needed by a dense code alone.
        beta: Weight of the KL divergence.
        loss: ``mse``, ``l1`` or ``bce``.
        context: Probability that a training image is shown with hidden squares; 0 for none.
        context_size: Largest side of such a square as a share of the image's shorter side.
        score: ``elbo``, ``reconstruction``, ``kl``, or ``sum`` of both, standardised on the training normals.
        error: The score's error map: a kind of loss, ``ssim``, ``structure`` or ``relative``; None for that of the
            loss.
        window: Side in pixels of the local squares of ``ssim``, ``structure`` and ``relative``; odd.
        smooth: Side in pixels of the square over which the error map is averaged; odd, 1 for none.
        pooling: The reconstruction error is the ``mean`` of the map, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        schedule: ``constant`` learning rate, or ``cosine``: down to zero at the end of training.
        seed: Seed of the weights and of everything that training draws.
        post_processor: The operating point; True for the default one.
        evaluator: Metrics that anomalib prints; True for the default ones.
        visualizer: What is written after a test; True for evidence, predictions and report.

    Raises:
        ValueError: for an option out of range.
    """

    def __init__(
        self,
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        code: str = "spatial",
        image_size: int | None = None,
        beta: float = 0.005,
        loss: str = "mse",
        context: float = 0.0,
        context_size: float = 0.5,
        score: str = "elbo",
        error: str | None = None,
        window: int = 7,
        smooth: int = 1,
        pooling: str = "mean",
        top_share: float = 0.02,
        learning_rate: float = 1e-3,  # noqa: ARG002 (kept in hparams)
        weight_decay: float = 0.0,  # noqa: ARG002 (kept in hparams)
        schedule: str = "constant",
        seed: int = 0,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(post_processor=post_processor, evaluator=evaluator, visualizer=visualizer)
        check_schedule(schedule)
        self.model: VariationalAutoencoderModel = self.seeded(
            seed,
            lambda: VariationalAutoencoderModel(
                ConvAutoencoder(stages, width, latent, norm, dense=dense_image_side(code, image_size), heads=2),
                beta,
                loss,
                context,
                context_size,
                score,
                error,
                window,
                smooth,
                pooling,
                top_share,
            ),
        )
        self.needs_calibration = score == "sum"

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Negative ELBO of a batch."""
        del args, kwargs
        image = pixels(batch)
        loss = self.model.training_loss(image)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image), sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Adam."""
        return adam(self)

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Mean and spread of both parts on the training normals, for their sum."""
        del validation
        self.model.fit_parts(train)
