"""``MedicalModel``, the mixin of every model plugin's lightning module."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from anomalib import LearningType
from anomalib.data import Batch
from anomalib.metrics import Evaluator
from anomalib.pre_processing import PreProcessor
from lightning import seed_everything

from medanomaly import distributed, seeds
from medanomaly.decision import OperatingPoint
from medanomaly.models.evaluator import default_evaluator
from medanomaly.options import OptionError
from medanomaly.runs import checkpoint_files
from medanomaly.runs.evidence_writer import EvidenceWriter
from medanomaly.runs.tested_model import prepared

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T", bound="nn.Module")


def pixels(batch: Any) -> torch.Tensor:
    """A batch's images (B, 3, H, W) as a plain tensor: torchvision's subclass costs a small model a tenth of a step."""
    return batch.image.as_subclass(torch.Tensor)


def part_names(model: Any) -> tuple[str, ...]:
    """Names of the parts that a torch model's raw score is made of; empty for one that has none."""
    return tuple(getattr(model, "part_names", ()))


class Normals:
    """Batches (B, 3, H, W) of a split's normal images as the network sees them, as often as they are iterated over.

    Args:
        module: The data module; one of ours, or any with a training loader of normals.
        split: ``train`` or ``val``.
        model: The lightning module: batches go to its device, and through its pre-processor.
    """

    def __init__(self, module: Any, split: str, model: Any) -> None:
        self.module, self.split, self.model = module, split, model

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Iterate once."""
        if hasattr(self.module, "normals_dataloader"):
            loader = self.module.normals_dataloader(self.split)
        else:
            loader = self.module.train_dataloader() if self.split == "train" else self.module.val_dataloader()
        for batch in loader:
            yield prepared(self.model, pixels(batch)[~batch.gt_label.bool()].to(self.model.device))


class MedicalModel:
    """Mixin for a direct subclass of ``AnomalibModule``: ``class MyModel(MedicalModel, AnomalibModule)``.

    It sets what makes a run right: no resizing in the model (reading is ``imaging``'s), an operating point that does
    not clamp, an evaluator that ranks raw scores, and evidence written after every test. The plugin's torch model
    returns ``InferenceBatch(pred_score, anomaly_map)``, both raw; it logs its training loss as ``train_loss``.

    Where the raw score is made of several, the torch model names them in ``part_names`` and has a method ``scored``:
    images (B, 3, H, W) to the ``InferenceBatch`` and the parts (B, number of names). They reach ``predictions.csv``,
    the bundle and the edge's results.
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
    def seeded(seed: int | None, build: Callable[[], T]) -> T:
        """Build a network with weights drawn from ``seed``, whatever was drawn before.

        Plain anomalib's command line takes ``--seed_everything`` and ignores it, so a model may carry a seed of its
        own; None takes the run's, which is what ``medanomaly train --seed`` says, and 0 where nobody does. Weights lie
        channels last: a training step of the autoencoder is a fifth to a half faster so on a CPU.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seeds.run_seed() or 0) if seed is None else seed)
            return build().to(memory_format=torch.channels_last)

    def setup(self, stage: str) -> None:
        """Let checkpoints be written as a whole, whichever engine trains."""
        super().setup(stage)  # type: ignore[misc]
        checkpoint_files.install(self.trainer)

    def on_fit_start(self) -> None:
        """Seed everything that training draws: order of images, augmentation, noise.

        The seed is the option ``seed`` of a model that has one, else the run's. Of several processes all draw the same
        order, which lightning deals out by the seed in the environment; but each its own noise and augmentation, or
        images at the same place of two shares would get the same.
        """
        reading = getattr(self.trainer.datamodule, "reading", None)
        self._read_by = {"reading": None if reading is None else reading.to_dict()}
        #: The seed that the weights come from, in this process or, loaded, in another.
        self.trained_with = seed = seeds.seed_of(self)
        self._note = os.environ.get(seeds.NOTE)
        seed_everything(seed, workers=True, verbose=False)
        if distributed.rank():
            own = np.random.SeedSequence([seed, distributed.rank()]).generate_state(1)[0]
            random.seed(int(own))
            np.random.seed(own)
            torch.manual_seed(int(own))

    def teardown(self, stage: str) -> None:
        """Put back what the environment said of a seed, so that the next model in this process does not take ours."""
        super().teardown(stage)  # type: ignore[misc]
        if stage == "fit" and hasattr(self, "_note"):
            seeds.put_note(self._note)

    def validation_step(self, batch: Any, *args: Any, **kwargs: Any) -> Batch:
        """Raw scores and maps of a batch, and its parts where the model has several."""
        del args, kwargs
        image = pixels(batch)
        self._size = list(image.shape[-2:])
        if not part_names(self.model):
            return batch.update(**self.model(image)._asdict())
        scored, parts = self.model.scored(image)  # type: ignore[operator]
        batch.update(**scored._asdict())
        batch.parts = parts
        return batch

    def test_step(self, batch: Batch, batch_idx: int, *args: Any, **kwargs: Any) -> Batch:
        """As in validation."""
        del batch_idx
        return self.validation_step(batch, *args, **kwargs)

    def predict_step(self, batch: Batch, *args: Any, **kwargs: Any) -> Batch:
        """Raw scores and maps of a batch whose images were read as those of the training were.

        Raises:
            OptionError: for images that another reader read, or of another size: anomalib's own neither resizes nor
                knows bit depths, and the scores would be silently wrong.
        """
        if not hasattr(self.trainer.datamodule, "reading"):
            self._check_foreign(list(pixels(batch).shape[-2:]))
        return self.validation_step(batch, *args, **kwargs)

    def _check_foreign(self, size: list[int]) -> None:
        """Refuse images of ``size`` (H, W), read by another data module than ours, if training read others."""
        trained = self._read_by or {"reading": "unknown", "size": None}
        if trained["reading"] is not None:
            raise OptionError(
                "predict was given images that anomalib reads itself, at another size and scale than in training. "
                "Export the run and use `medanomaly infer BUNDLE IMAGES --out DIR`, or predict with a medanomaly data "
                "module."
            )
        if trained["size"] not in (None, size):
            height, width = trained["size"]
            raise OptionError(
                f"predict was given images of {size[0]}×{size[1]}, and the model was validated on {height}×{width}. "
                "Resize them first, or train with a medanomaly data module, which resizes."
            )

    #: How the images of the training were read: ``reading`` (None for another data module than ours), and ``size``
    #: (H, W) of those validated; None where it is not known: checkpoints of 0.1.0 do not say.
    _read_by: dict[str, Any] | None = None
    _size: list[int] | None = None

    #: Whether :meth:`calibrate` has something to do; set by plugins that override it.
    needs_calibration: bool = False

    def calibrate(self, train: Iterable[torch.Tensor], validation: Iterable[torch.Tensor]) -> None:
        """Refit what depends on the finished weights (densities, score statistics).

        Called before every validation but the sanity check, in evaluation mode and without gradients. Of several
        processes each does it with all images, and the first one's buffers are taken.

        Args:
            train: Batches (B, 3, H, W) of the training normals, in order and without augmentation; may be iterated
                over several times.
            validation: Likewise of the validation normals.
        """

    def on_validation_epoch_start(self) -> None:
        """Calibrate, before the operating point sees validation scores."""
        if self.needs_calibration and not self.trainer.sanity_checking:
            module = self.trainer.datamodule
            train, validation = (Normals(module, split, self) for split in ("train", "val"))
            self.calibrate(train, validation)
            # Every process passed over all normals; machines may differ in the last bit.
            distributed.sync_buffers(self.model)

    @property
    def findings(self) -> dict[str, list[dict[str, Any]]]:
        """Tables of plain values by name, written as ``<name>.csv`` into the run's folder after a test."""
        if not hasattr(self, "_findings"):
            self._findings: dict[str, list[dict[str, Any]]] = {}
        return self._findings

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep with the weights the findings, and how images were read."""
        super().on_save_checkpoint(checkpoint)  # type: ignore[misc]
        checkpoint["medanomaly_findings"] = self.findings
        checkpoint["medanomaly_seed"] = seeds.known_seed(self)
        if self._read_by is not None:
            checkpoint["medanomaly_read_by"] = {"size": self._size, **self._read_by}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        super().on_load_checkpoint(checkpoint)  # type: ignore[misc]
        self._findings = dict(checkpoint.get("medanomaly_findings", {}))
        own = checkpoint.get("hyper_parameters", {}).get("seed")
        self.trained_with = checkpoint.get("medanomaly_seed", own)
        self._read_by = checkpoint.get("medanomaly_read_by")
