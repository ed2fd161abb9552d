"""``Autoencoder``: training of the plain autoencoder in anomalib's engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer

from medanomaly.models import MapScore, MedicalModel, pixels
from medanomaly.models.blocks import dense_image_side
from medanomaly.models.optimiser import adam, check_schedule
from medanomaly_autoencoder.torch_model import AutoencoderModel, build_network


class Autoencoder(MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Plain convolutional autoencoder, trained on normal images alone.

    Args:
        network: ``conv``, built as the next options say, or ``study``, the study's fixed network for 28 px.
        stages: Number of halvings from image to code.
        width: Channels of the first stage.
        latent: Channels of the code.
        norm: ``group`` or ``none``.
        code: ``spatial``, for images of any size, or ``dense``: ``latent`` numbers for the whole image.
        image_size: Side in pixels of the square images; needed by a dense code alone.
        loss: ``mse``, ``l1``, ``bce``, ``ssim`` or ``ssim+l1``.
        error: The score's error map: a kind of loss, ``structure`` or ``relative``; None for that of the loss.
        window: Side in pixels of the local squares of ``ssim``, ``structure`` and ``relative``; odd.
        noise: Standard deviation of the noise that is added to training images and has to be taken away; 0 for none.
        noise_size: Side at which that noise is drawn before it is upsampled; None for noise of its own in each pixel.
        smooth: Side in pixels of the square over which the error map is averaged; odd, 1 for none.
        score: ``mean`` of the error map, or ``top``: the mean of its largest values.
        top_share: Share of the map that ``top`` averages.
        two_sided: Score |s - mean| / sd of normal scores: for data whose anomalies reconstruct better than health.
        two_sided_from: ``train`` or ``val``: the split whose normal images give that mean and sd.
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
        network: str = "conv",
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        code: str = "spatial",
        image_size: int | None = None,
        loss: str = "mse",
        error: str | None = None,
        window: int = 7,
        noise: float = 0.0,
        noise_size: int | None = 16,
        smooth: int = 1,
        score: str = "mean",
        top_share: float = 0.02,
        two_sided: bool = False,
        two_sided_from: str = "train",
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
        if two_sided_from not in ("train", "val"):
            raise ValueError(f"two_sided_from must be train or val, not '{two_sided_from}'")
        dense = dense_image_side(code, image_size)
        self.model: AutoencoderModel = self.seeded(
            seed,
            lambda: AutoencoderModel(
                build_network(network, stages, width, latent, norm, dense),
                loss,
                error,
                window,
                noise,
                noise_size,
                MapScore(smooth, score, top_share, two_sided),
            ),
        )
        self.needs_calibration = two_sided

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Mean reconstruction error of a batch."""
        del args, kwargs
        image = pixels(batch)
        loss = self.model.training_loss(image, self.model.logits(self.model.corrupted(image)))
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image), sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        """Adam, by the schedule."""
        return adam(self)

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Score statistics of normal images, for the two-sided score."""
        self.model.fit_score(train if self.hparams["two_sided_from"] == "train" else validation)
