"""``AdversarialAutoencoder``: its three training phases and the rejection of training images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer
from torch.nn import functional as F  # noqa: N812

from medanomaly import distributed
from medanomaly.models import MedicalModel, WeightsInCheckpoint, pixels
from medanomaly.runs.tested_model import prepared
from medanomaly_adversarial_autoencoder.discriminator import Discriminator
from medanomaly_adversarial_autoencoder.network import network as build_network
from medanomaly_adversarial_autoencoder.rejection import Rejection
from medanomaly_adversarial_autoencoder.torch_model import AdversarialAutoencoderModel, density_named

logger = logging.getLogger(__name__)


class AdversarialAutoencoder(WeightsInCheckpoint, MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Autoencoder whose codes are held to N(0, I): an image is abnormal by its code's density or its error.

    Args:
        stages: Number of halvings from image to code.
        width: Channels of the first stage.
        latent: Channels of the code.
        norm: ``group`` or ``none``.
        code: ``spatial``, for images of any size, or ``dense``: ``latent`` numbers for the whole image.
        image_size: Side in pixels of the square images; needed by a dense code alone.
        backbone: ``vgg16``, or another network of timm, as the encoder; None for the small convolutional one.
        weights: The backbone's weights: None for random ones, ``hub``, ``package``, or a ``.safetensors`` file by its
            path or by its name below ``$MEDANOMALY_WEIGHTS``.
        backbone_trainable: Train the backbone too.
        loss: Reconstruction error in training: ``mse``, ``l1``, ``bce``, ``ssim`` or ``ssim+l1``.
        error: Kind of the error map: a kind of loss, ``structure`` or ``relative``; None for that of the loss.
        window: Side in pixels of the local squares of ``ssim``, ``structure`` and ``relative``; odd.
        smooth: Side in pixels of the square over which the error map is averaged; odd, 1 for none.
        score: Reconstruction error from the map: its ``mean``, or ``top``, the mean of its largest values.
        top_share: Share of the map that ``top`` averages.
        density: Density of the code: ``prior``, ``kde`` or ``gaussian``.
        kde_components: Most principal components of the kernel density.
        kde_variance: Share of the code's variance that they explain.
        kde_bandwidth: ``scott`` or ``likelihood``.
        kde_points: Most support points.
        criterion: ``either`` criterion, their ``sum``, ``density`` or ``reconstruction`` alone.
        learning_rate: Of Adam in the reconstruction phase.
        adversarial_learning_rate: Of Adam in the discriminator and generator phases; 0 leaves a plain autoencoder.
        discriminator_width: Channels of the discriminator's layers.
        rejection: ``none``, ``quantile`` or ``ocsvm``, see
            :class:`~medanomaly_adversarial_autoencoder.rejection.Rejection`.
        pretrain_epochs: Epochs before the first rejection.
        rejection_rounds: Number of rounds.
        rejection_every: Epochs after each round.
        rejection_share: Share of the kept images that a round rejects.
        rejection_weight: Weight, zero or less, of rejected images with large errors after the last round.
        minimum_kept: Least number of training images that rejection must leave.
        seed: Seed of the weights and of everything that training draws.
        post_processor: The operating point; True for the default one.
        evaluator: Metrics that anomalib prints; True for the default ones.
        visualizer: What is written after a test; True for evidence, predictions and report.

    Raises:
        BackboneError: if the backbone or its weights cannot be had.
        ValueError: for an option out of range.
    """

    needs_calibration = True

    def __init__(
        self,
        stages: int = 4,
        width: int = 32,
        latent: int = 16,
        norm: str = "group",
        code: str = "spatial",
        image_size: int | None = None,
        backbone: str | None = None,
        weights: str | None = None,
        backbone_trainable: bool = False,
        loss: str = "mse",
        error: str | None = None,
        window: int = 7,
        smooth: int = 1,
        score: str = "mean",
        top_share: float = 0.02,
        density: str = "gaussian",
        kde_components: int = 8,
        kde_variance: float = 0.9,
        kde_bandwidth: str = "scott",
        kde_points: int = 256,
        criterion: str = "either",
        learning_rate: float = 1e-3,  # noqa: ARG002 (kept in hparams)
        adversarial_learning_rate: float = 1e-3,
        discriminator_width: int = 64,
        rejection: str = "none",
        pretrain_epochs: int = 10,
        rejection_rounds: int = 3,
        rejection_every: int = 5,
        rejection_share: float = 0.02,
        rejection_weight: float = 0.0,
        minimum_kept: int = 32,
        seed: int = 0,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(post_processor=post_processor, evaluator=evaluator, visualizer=visualizer)
        self.automatic_optimization = False
        self.rejection = Rejection(
            rejection,
            pretrain_epochs,
            rejection_rounds,
            rejection_every,
            rejection_share,
            rejection_weight,
            minimum_kept,
        )
        if rejection_weight < 0 and loss == "bce":
            raise ValueError(
                "with loss: bce an image that is pushed away has no largest error, and training diverges. Set "
                "rejection_weight: 0 or loss: mse"
            )
        density_of_code = density_named(density, kde_components, kde_variance, kde_bandwidth, kde_points)
        self.model: AdversarialAutoencoderModel = self.seeded(
            seed,
            lambda: AdversarialAutoencoderModel(
                build_network(stages, width, latent, norm, code, image_size, backbone, weights, backbone_trainable),
                density_of_code,
                loss,
                error,
                window,
                smooth,
                score,
                top_share,
                criterion,
            ),
        )
        self.discriminator = self.seeded(seed, lambda: Discriminator(latent, discriminator_width))
        self.adversarial = adversarial_learning_rate > 0

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for each phase: encoder and decoder, discriminator, encoder alone."""
        network = self.model.network
        everything, encoder = _trained(network.parameters()), _trained(network.encoder_parameters())
        # GAN training with Adam's usual memory oscillates (Radford et al., ICLR 2016).
        options = {"lr": self.hparams["adversarial_learning_rate"], "betas": (0.5, 0.999), "fused": True}
        return [
            torch.optim.Adam(everything, lr=self.hparams["learning_rate"], fused=True),
            torch.optim.Adam(self.discriminator.parameters(), **options),
            torch.optim.Adam(encoder, **options),
        ]

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> None:
        """Reconstruction, discriminator and generator phase on one batch (Makhzani et al. 2015, sec. 2)."""
        del args, kwargs
        image, pushed = self._weighed(batch)
        numbers = distributed.gather_numbers(len(image))
        if not min(numbers):  # all of it has been rejected; of several processes' shares, all of one
            return
        share = len(image) * len(numbers) / sum(numbers)  # of the mean over all processes
        reconstruction, discriminator, generator = self.optimizers()  # type: ignore[attr-defined]
        network = self.model.network
        fixed = network.fixed(image)
        loss = self.model.loss_of(image, network.decode(network.code_of(fixed), (image.shape[-2], image.shape[-1])))
        total = loss
        if len(pushed):
            ratio = len(pushed) / len(image)
            total = loss + self.rejection.weight * ratio * self.model.loss_of(pushed, network(pushed))
        self._step(reconstruction, share * total)
        losses = {"train_loss": loss.detach()}
        if self.adversarial:
            code = network.code_of(fixed)
            of_prior, of_code = self.discriminator(torch.randn_like(code)), self.discriminator(code.detach())
            losses["discriminator_loss"] = (F.softplus(-of_prior) + F.softplus(of_code)).mean() / 2
            self._step(discriminator, share * losses["discriminator_loss"])
            self.discriminator.requires_grad_(False)
            losses["generator_loss"] = F.softplus(-self.discriminator(code)).mean()
            self._step(generator, share * losses["generator_loss"])
            self.discriminator.requires_grad_(True)
        for name, value in losses.items():
            options: dict[str, Any] = {"prog_bar": name == "train_loss", "batch_size": len(image), "sync_dist": True}
            self.log(name, value.detach(), on_step=False, on_epoch=True, **options)

    def _step(self, optimizer: Any, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        with distributed.unsynced(self.trainer.model):
            self.manual_backward(loss)
        distributed.mean_gradients(parameter for group in optimizer.param_groups for parameter in group["params"])
        optimizer.step()

    def _weighed(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch's kept images, and its rejected ones that are pushed away."""
        image, weights = pixels(batch), self._weights
        if not weights:
            return image, image[:0]
        weight = torch.tensor([weights.get(path, 1.0) for path in batch.image_path], device=image.device)
        return image[weight > 0], image[weight < 0]

    @property
    def _weights(self) -> dict[str, float]:
        """Weight of each rejected image; the findings hold it, so that a resumed training goes on with it."""
        return {row["path"]: row["weight"] for row in self.findings.get("rejected", ())}

    def on_fit_start(self) -> None:
        """Check the plan of rejection against the data."""
        super().on_fit_start()
        if self.rejection.method != "none":
            number = len(self.trainer.datamodule.train_data)
            self.rejection.check(number, int(self.trainer.max_epochs or -1))

    def on_train_epoch_start(self) -> None:
        """A round of rejection where one is due."""
        epoch = self.current_epoch
        number = self.rejection.round_at(epoch)
        if number:
            self._reject(number)
        elif self.rejection.method != "none" and epoch == self.rejection.last_epoch:
            self._push()

    @torch.no_grad()
    def _reject(self, number: int) -> None:
        """Reject training images by their codes."""
        rejected = self._weights
        paths, codes = [], []
        for batch in self._training_batches():
            kept = [path not in rejected for path in batch.image_path]
            paths += [path for path, keep in zip(batch.image_path, kept, strict=True) if keep]
            codes.append(self.model.codes(pixels(batch)[torch.tensor(kept)]))
        code = torch.cat(codes)
        self.model.density.fit(code)  # type: ignore[operator]
        density = self.model.density(code).cpu().double().numpy()
        out = self.rejection.rejected(code.cpu().double().numpy(), density)
        self.rejection.enough(len(paths) - int(out.sum()), len(paths) + len(rejected))
        rows = [
            {"path": path, "round": number, "log_density": float(value), "weight": 0.0}
            for path, value, gone in zip(paths, density, out, strict=True)
            if gone
        ]
        self.findings["rejected"] = self.findings.get("rejected", []) + distributed.broadcast(rows)
        logger.info("Rejection round %d: %d of %d training images.", number, len(rows), len(paths))

    @torch.no_grad()
    def _push(self) -> None:
        """Give rejected images with large errors the negative weight."""
        rows = self.findings.get("rejected", [])
        errors: dict[str, float] = {}
        for batch in self._training_batches():
            parts = self.model.parts(pixels(batch))[0]
            errors.update(zip(batch.image_path, parts[:, 1].tolist(), strict=True))
        pushed = distributed.broadcast(self.rejection.pushed(np.array([errors[row["path"]] for row in rows])))
        for row, push in zip(rows, pushed, strict=True):
            row["weight"] = self.rejection.weight if push else 0.0

    def _training_batches(self) -> Iterator[Any]:
        """Batches of the training normals in order, without augmentation, as the network sees them."""
        for batch in self.trainer.datamodule.normals_dataloader("train"):
            batch.image = prepared(self, pixels(batch).to(self.device))
            yield batch

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Density of the training images that were kept, criterion of the validation normals."""
        rejected = self._weights
        if rejected:
            train = (
                pixels(batch)[torch.tensor([path not in rejected for path in batch.image_path])]
                for batch in self._training_batches()
            )
        self.model.fit((images for images in train if len(images)), (images for images in validation if len(images)))


def _trained(parameters: Iterable[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
