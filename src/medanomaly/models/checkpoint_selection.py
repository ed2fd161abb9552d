"""Callbacks that choose the epoch whose weights are tested, without labels.

Every trainer hands over the last epoch. A better one can be picked by validation AUROC, but that takes labelled
abnormal images. The callbacks here take none: :class:`AUCp` asks how far unlabelled images lie above training normals,
:class:`NormalsEarlyStopping` how validation normals score. Both work with every anomalib model that trains by epochs.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from medanomaly.metrics.ranking import auroc
from medanomaly.models.training_scores import Scored, all_images, ranked, score, train_normals
from medanomaly.options import OptionError

logger = logging.getLogger(__name__)


class EpochChoice(Callback):
    """Keep the weights of the epoch with the best value, and return to them when training ends.

    A value is taken after each validation, when calibration and operating point belong to the weights; what is kept is
    the whole state with both, so the tested threshold is the chosen epoch's own. Of equal values the earlier epoch is
    taken. Epochs before ``trainer.min_epochs``, and values that are not finite, are never chosen; if no value is, the
    last weights stay.

    The values of each epoch go into ``<name>.csv`` of the run's folder, and the chosen beside the last epoch into
    ``checkpoint_choice.csv``, with the AUROC on validation images where both classes are labelled: reported, never
    used. Checkpoints of the run carry the chosen weights besides their own, so training can be resumed.

    Args:
        restore: Return to the chosen weights; False only reports.
        at_most: Images of each kind that are scored after a validation, spread evenly over the list.

    Raises:
        ValueError: if ``at_most`` is less than 2.
    """

    #: Of the table of epochs, and of the value in it.
    name: str
    higher_is_better: bool
    #: Least difference that counts as better.
    min_delta: float = 0.0

    def __init__(self, restore: bool = True, at_most: int = 2000) -> None:
        if at_most < 2:
            raise ValueError(f"at_most must be at least 2, not {at_most}")
        self.restore, self.at_most = restore, at_most
        #: One row a validation.
        self.rows: list[dict[str, Any]] = []
        self._best: int | None = None  # of the rows
        self._weights: dict[str, torch.Tensor] = {}
        self._resumed_from: Any = None
        self._trained: tuple[dict[str, Any], dict[str, Any]] | None = None

    @abstractmethod
    def measure(self, trainer: Any, pl_module: Any, validation: Scored) -> dict[str, Any]:
        """The epoch's figures, plain numbers by name, of which ``self.name`` is the value that chooses.

        Args:
            trainer: The trainer.
            pl_module: The module, in evaluation mode.
            validation: Scores of validation images; their labels are for counting normals, not for choosing.
        """

    # Training

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier training; a resumed one is loaded after this."""
        del trainer, pl_module
        if stage == "fit":
            self.rows, self._best, self._weights, self._trained = [], None, {}, None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what would choose weights twice.

        Raises:
            ValueError: if another callback, or the model's ``keep_best``, returns to weights of its own choice.
        """
        self._resumed_from = trainer.ckpt_path
        choosing = [type(c).__name__ for c in trainer.callbacks if isinstance(c, EpochChoice) and c.restore]  # type: ignore[attr-defined]
        if self.restore and len(choosing) > 1:
            raise OptionError(f"{' and '.join(choosing)} both choose the weights: set restore: false on all but one")
        if self.restore and dict(pl_module.hparams).get("keep_best"):
            raise OptionError(
                f"{type(self).__name__} and the model's keep_best both choose the weights: set "
                "model.init_args.keep_best: false, or restore: false on the callback"
            )

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the epoch's value, and keep the weights if it is the best so far."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        validation = score(pl_module, all_images(trainer.datamodule, "val", self.at_most))
        figures = self.measure(trainer, pl_module, validation)
        # The first process decides for all: rounding must not part them.
        figures = trainer.strategy.broadcast({key: _plain(value) for key, value in figures.items()})
        labelled = auroc(ranked(pl_module, validation.raw), validation.abnormal)
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            **figures,
            "validation_auroc": _plain(labelled),
        }
        self.rows.append(row)
        if row["epoch"] >= (trainer.min_epochs or 0) and self._better(row[self.name]):
            self._best = len(self.rows) - 1
            self._weights = {key: value.detach().cpu().clone() for key, value in pl_module.state_dict().items()}
        for log in trainer.loggers:
            if row[self.name] is not None:
                log.log_metrics({self.name: row[self.name]}, step=trainer.global_step)
        self._report(pl_module)

    def _better(self, value: float | None) -> bool:
        if value is None:
            return False
        if self._best is None:
            return True
        gain = value - self.rows[self._best][self.name]
        return (gain if self.higher_is_better else -gain) > self.min_delta

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Return to the chosen weights, with the calibration and the operating point that were fitted for them."""
        del trainer
        if self._best is None:
            reason = f"no epoch had a finite {self.name}" if self.rows else "no epoch was validated"
            logger.warning("%s chose no epoch: %s. The last weights stay.", type(self).__name__, reason)
            return
        if self.restore:
            pl_module.load_state_dict(self._weights)
            self._trained = self.state_dict(), dict(_findings(pl_module))
        chosen = self.choice()
        logger.info(
            "%s: %s epoch %s of %s (%s %s, last %s). AUROC on labelled validation, for information: %s, last %s.",
            type(self).__name__, "weights of" if self.restore else "would take", chosen["chosen_epoch"],
            chosen["last_epoch"], self.name, *(_short(chosen[key]) for key in (
                "chosen_value", "last_value", "chosen_validation_auroc", "last_validation_auroc")),
        )  # fmt: skip

    # Report

    def choice(self) -> dict[str, Any]:
        """The chosen epoch beside the last, as plain values; None where nothing is known."""
        best = {} if self._best is None else self.rows[self._best]
        last = self.rows[-1] if self.rows else {}
        record: dict[str, Any] = {"callback": type(self).__name__, "value": self.name, "restored": self.restore}
        for figure, key in (("epoch", "epoch"), ("value", self.name), ("validation_auroc", "validation_auroc")):
            record |= {f"chosen_{figure}": best.get(key), f"last_{figure}": last.get(key)}
        return record

    def _report(self, pl_module: Any) -> None:
        findings = _findings(pl_module)
        findings[self.name] = [{**row, "chosen": i == self._best} for i, row in enumerate(self.rows)]
        others = [row for row in findings.get("checkpoint_choice", []) if row["callback"] != type(self).__name__]
        findings["checkpoint_choice"] = [*others, self.choice()]

    # Checkpoints

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs: values of past epochs, which is best, and its weights."""
        return {"rows": self.rows, "best": self._best, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.rows, self._best = list(state_dict["rows"]), state_dict["best"]
        self._weights = dict(state_dict["weights"])

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Test what was trained: after a resumed training anomalib loads the checkpoint it started from once more."""
        if self._trained is not None and trainer.ckpt_path and trainer.ckpt_path == self._resumed_from:
            state, findings = self._trained
            self.load_state_dict(state)
            pl_module.load_state_dict(self._weights)
            _findings(pl_module).update(findings)
            logger.info("%s: tested are the chosen weights, not the checkpoint resumed from.", type(self).__name__)
        self._trained = None


class AUCp(EpochChoice):
    """Choose the epoch that best tells unlabelled images from training normals.

    AUCp is the AUROC in which training normals are the negatives and every unlabelled image counts as a positive
    (Rahman Siddiquee and others, 2026, arXiv:2606.08742). The normal images among the unlabelled ones hold it down
    equally in all epochs, as long as they score like training normals; what moves it is how high the abnormal ones
    score. A model that has learnt its training images by heart breaks that, for then every new image scores higher:
    compare with :class:`NormalsEarlyStopping`.

    Args:
        images: Where unlabelled images come from: ``val``, or ``test``, where the test images' scores (never their
            labels) take part in choosing the model that is tested on them.
        restore, at_most: As for :class:`EpochChoice`.

    Raises:
        ValueError: for an option out of range.
    """

    name = "aucp"
    higher_is_better = True

    def __init__(self, images: str = "val", restore: bool = True, at_most: int = 2000) -> None:
        super().__init__(restore, at_most)
        if images not in ("val", "test"):
            raise ValueError(f"images must be val or test, not '{images}'")
        self.images = images

    def measure(self, trainer: Any, pl_module: Any, validation: Scored) -> dict[str, Any]:
        """AUCp in [0, 1], and how many images it is from."""
        module = trainer.datamodule
        normals = torch.from_numpy(score(pl_module, train_normals(module, self.at_most)).normals)
        unlabelled = validation if self.images == "val" else score(pl_module, all_images(module, "test", self.at_most))
        scores = ranked(pl_module, torch.cat([normals, unlabelled.raw]))
        value = auroc(scores, np.arange(len(scores)) >= len(normals))
        return {self.name: value, "train_normals": len(normals), "unlabelled": len(unlabelled.raw)}


class NormalsEarlyStopping(EpochChoice):
    """Stop when the raw score of validation normals no longer falls, and return to the epoch where it was lowest.

    It needs normal images alone. The mean by itself suits scores that keep their meaning from epoch to epoch, such as a
    reconstruction error. ``relative`` takes the mean's distance from that of training normals in their standard
    deviations: how far training is ahead of what holds for new images. An untrained model has none, so
    ``trainer.min_epochs`` must say from when on it counts.

    Args:
        patience: Validations in a row without a lower value after which training stops; from 1.
        min_delta: By how much a value must be lower; at least 0.
        relative: Distance from training normals instead of the mean itself.
        restore, at_most: As for :class:`EpochChoice`.

    Raises:
        ValueError: for an option out of range, and at the start of training for ``relative`` without
            ``trainer.min_epochs``.
    """

    name = "normals"
    higher_is_better = False

    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        relative: bool = False,
        restore: bool = True,
        at_most: int = 2000,
    ) -> None:
        super().__init__(restore, at_most)
        if patience < 1 or not min_delta >= 0:
            raise ValueError(f"need patience from 1 and min_delta of at least 0; got {patience} and {min_delta}")
        self.patience, self.min_delta, self.relative = patience, min_delta, relative

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a choice that an untrained model would win."""
        super().on_fit_start(trainer, pl_module)
        if self.relative and (trainer.min_epochs or 0) < 2:
            raise OptionError(
                "NormalsEarlyStopping with relative: true would choose the untrained model, which scores training and "
                "validation alike: set trainer.min_epochs to the epochs that training needs at least"
            )

    def measure(self, trainer: Any, pl_module: Any, validation: Scored) -> dict[str, Any]:
        """Mean raw scores of validation and training normals, and the value made of them."""
        train = score(pl_module, train_normals(trainer.datamodule, self.at_most)).normals.astype(np.float64)
        mean = float(validation.normals.astype(np.float64).mean()) if len(validation.normals) else math.nan
        ahead = (mean - train.mean()) / (train.std() or 1.0)
        value = float(ahead) if self.relative else mean
        return {self.name: value, "validation_mean": mean, "train_mean": float(train.mean()), "ahead": float(ahead)}

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the epoch's value, and stop if there was no lower one for long enough."""
        super().on_validation_end(trainer, pl_module)
        counting = [i for i, row in enumerate(self.rows) if row["epoch"] >= (trainer.min_epochs or 0)]
        waited = sum(i > (-1 if self._best is None else self._best) for i in counting)
        if waited >= self.patience and trainer.state.fn == "fit" and not trainer.sanity_checking:
            trainer.should_stop = True


def _findings(pl_module: Any) -> dict[str, Any]:
    """The module's tables; another module than ours gets a place for them."""
    if not hasattr(pl_module, "findings"):
        pl_module.findings = {}
    return pl_module.findings


def _plain(value: float) -> float | None:
    """None for what is not finite: it goes into JSON."""
    return value if math.isfinite(value) else None


def _short(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
