"""``Classifier``: training of the supervised classifier in anomalib's engine."""

from __future__ import annotations

import math
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.models import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.visualization import Visualizer
from torch.nn import functional as F  # noqa: N812

from medanomaly import distributed
from medanomaly.data import TableError
from medanomaly.models import MedicalModel, WeightsInCheckpoint, pixels
from medanomaly.models.backbone import classifier_network
from medanomaly_classifier.augment import moved
from medanomaly_classifier.torch_model import ClassifierModel


class Classifier(WeightsInCheckpoint, MedicalModel, AnomalibModule):  # type: ignore[misc]
    """Supervised classifier, trained on normal and abnormal images (``data.init_args.training: labelled``).

    Args:
        network: A convolutional network of timm.
        weights: The weights it starts from: null for random ones, ``hub``, ``package``, or a ``.safetensors`` file by
            its path or by its name below ``$MEDANOMALY_WEIGHTS``.
        stride: How many times smaller than the image the last feature map is: 32, or 16 or 8 where the network can.
        upsample: Factor by which images are enlarged for the network.
        miss_cost: How many false alarms a missed abnormal image is worth: its weight in the cross-entropy. Null weighs
            both classes alike, however many images each has.
        shift: Greatest random shift of training images, as a share of the side.
        scale: Greatest random change of their size, as a share.
        keep_best: At the end return to the weights with the highest AUROC on validation.
        learning_rate: Of AdamW at the start; it falls to zero along half a cosine.
        weight_decay: Of AdamW.
        seed: Seed of the weights and of everything that training draws.
        post_processor: The operating point; True for the default one.
        evaluator: Metrics that anomalib prints; True for the default ones.
        visualizer: What is written after a test; True for evidence, predictions and report.

    Raises:
        BackboneError: if network, stride or weights cannot be had.
        ValueError: for an option out of range.
    """

    #: It needs abnormal training images: ``data.init_args.training: labelled``.
    supervised = True

    def __init__(
        self,
        network: str = "resnet18",
        weights: str | None = None,
        stride: int = 8,
        upsample: int = 1,
        miss_cost: float | None = None,
        shift: float = 0.1,
        scale: float = 0.1,
        keep_best: bool = True,  # noqa: ARG002 (kept in hparams)
        learning_rate: float = 1e-3,  # noqa: ARG002 (kept in hparams)
        weight_decay: float = 1e-2,  # noqa: ARG002 (kept in hparams)
        seed: int = 0,
        post_processor: PostProcessor | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        super().__init__(post_processor=post_processor, evaluator=evaluator, visualizer=visualizer)
        if not (0 <= shift < 1 and 0 <= scale < 1) or (miss_cost is not None and miss_cost <= 0):
            raise ValueError(
                f"need shift and scale in [0, 1), miss_cost > 0; got shift={shift}, scale={scale}, "
                f"miss_cost={miss_cost}"
            )
        self.model: ClassifierModel = self.seeded(
            seed, lambda: ClassifierModel(classifier_network(network, weights, 2, stride), upsample)
        )
        self.class_weights = torch.ones(2)
        self.best: tuple[float, dict[str, torch.Tensor]] | None = None

    def on_fit_start(self) -> None:
        """Weigh the classes, and let BatchNorm learn: lightning leaves a model in the mode in which it was handed over.

        Raises:
            TableError: if normal or abnormal images are missing from training.
        """
        super().on_fit_start()
        self.model.train()
        self.best = None
        counts = torch.bincount(torch.as_tensor(self._labels()).long(), minlength=2)
        if not counts.all():
            lacking = "normal" if counts[1] else "abnormal"
            raise TableError(
                f"Classifier learns from labelled images, and training has no {lacking} ones "
                f"({int(counts[0])} normal, {int(counts[1])} abnormal). Set data.init_args.training: labelled, and see "
                "that the table's train split holds both."
            )
        cost = self.hparams["miss_cost"]
        weights = counts.sum() / (2 * counts) if cost is None else torch.tensor([1.0, float(cost)])
        self.class_weights = weights.to(self.device)

    def _labels(self) -> Any:
        """Truth (n,) of the training images, without reading them where the data module is ours."""
        module = self.trainer.datamodule
        if hasattr(module.train_data, "abnormal"):
            return module.train_data.abnormal
        return torch.cat([batch.gt_label for batch in module.train_dataloader()])

    def training_step(self, batch: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Weighted cross-entropy of a batch, shifted and scaled."""
        del args, kwargs
        image, label = pixels(batch), batch.gt_label.long()
        logits, _ = self.model.classify(moved(image, self.hparams["shift"], self.hparams["scale"]))
        loss = F.cross_entropy(logits, label, self.class_weights)
        share = distributed.loss_factor(float(self.class_weights[label].sum()))
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image), sync_dist=True)
        return share * loss

    def on_validation_end(self) -> None:
        """Keep the weights that rank validation images best, with the operating point that was chosen for them."""
        reached = float(self.trainer.callback_metrics.get("val_image_AUROC", math.nan))
        if not self.hparams["keep_best"] or self.trainer.sanity_checking or math.isnan(reached):
            return
        # Of equal ones the later: its loss is lower.
        if self.best is None or reached >= self.best[0]:
            self.best = reached, {key: value.detach().clone() for key, value in self.state_dict().items()}

    def on_train_end(self) -> None:
        """Return to the best weights."""
        if self.best is not None:
            self.load_state_dict(self.best[1])
            self.best = None

    def configure_optimizers(self) -> Any:
        """AdamW, its learning rate falling to zero along half a cosine over all steps."""
        options = {"lr": self.hparams["learning_rate"], "weight_decay": self.hparams["weight_decay"]}
        optimizer = torch.optim.AdamW(self.model.parameters(), fused=True, **options)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
