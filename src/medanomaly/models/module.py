"""What every model plugin mixes into its lightning module."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from anomalib import LearningType
from anomalib.data import Batch
from anomalib.metrics import Evaluator
from anomalib.pre_processing import PreProcessor
from lightning import seed_everything

from medanomaly.decision import OperatingPoint
from medanomaly.evidence.rank_metric import default_evaluator
from medanomaly.evidence.writer import EvidenceWriter

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


class MedicalModel:
    """Mixin for a direct subclass of ``AnomalibModule``: ``class MyModel(MedicalModel, AnomalibModule)``.

    It sets what makes a run right: no resizing in the model (reading is ``imaging``'s), an operating point that does
    not clamp, an evaluator that ranks raw scores, and evidence written after every test. The plugin's torch model
    returns ``InferenceBatch(pred_score, anomaly_map)``, both raw; it logs its training loss as ``train_loss``.
    """

    if TYPE_CHECKING:
        model: nn.Module
        trainer: Any
        device: torch.device
        hparams: Any

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        """No transform: images arrive as the data module read them."""
        del image_size
        return PreProcessor()

    def configure_post_processor(self) -> OperatingPoint:
        """The 95 % quantile of normal validation scores; choose another rule in the configuration."""
        return OperatingPoint()

    @staticmethod
    def configure_evaluator() -> Evaluator:
        """Rank metrics on raw scores."""
        return default_evaluator()

    @classmethod
    def configure_visualizer(cls) -> EvidenceWriter:
        """Evidence, predictions and report instead of one figure an image."""
        return EvidenceWriter()

    @property
    def learning_type(self) -> LearningType:
        """Learns from normal images alone."""
        return LearningType.ONE_CLASS

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """None by default: the configuration decides."""
        return {}

    @staticmethod
    def seeded(seed: int, build: Callable[[], T]) -> T:
        """Build a network with weights drawn from ``seed``, whatever was drawn before.

        anomalib's command line takes ``--seed_everything`` and ignores it, so the model carries its own seed.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build()

    def on_fit_start(self) -> None:
        """Seed everything that training draws: order of images, augmentation, noise."""
        seed_everything(int(self.hparams["seed"]), workers=True, verbose=False)

    def validation_step(self, batch: Batch, *args: Any, **kwargs: Any) -> Batch:
        """Raw scores and maps of a validation batch."""
        del args, kwargs
        return batch.update(**self.model(batch.image)._asdict())

    def predict_step(self, batch: Batch, *args: Any, **kwargs: Any) -> Batch:
        """Raw scores and maps of a batch of a medanomaly data module.

        Raises:
            ValueError: for images that another reader read: anomalib's own neither resizes nor knows bit depths, and
                the scores would be silently wrong.
        """
        if not hasattr(self.trainer.datamodule, "reading"):
            raise ValueError(
                "predict was given images that anomalib reads itself, at another size and scale than in training. "
                "Export the run and use `medanomaly infer BUNDLE IMAGES --out DIR`, or predict with a medanomaly data "
                "module."
            )
        return self.validation_step(batch, *args, **kwargs)

    def calibrate(self, batches: Any) -> None:
        """Refit what depends on the finished weights (score statistics, densities) from batches of training normals.

        Called before every validation but the sanity check, in evaluation mode and without gradients. By default
        nothing; a plugin that overrides this sets ``needs_calibration``.
        """

    needs_calibration: bool = False

    def on_validation_epoch_start(self) -> None:
        """Calibrate on the training normals, before the operating point sees validation scores."""
        if not self.needs_calibration or self.trainer.sanity_checking:
            return
        module = self.trainer.datamodule
        loader = (
            module.calibration_dataloader() if hasattr(module, "calibration_dataloader") else module.train_dataloader()
        )
        self.calibrate(batch.image.to(self.device) for batch in loader)
