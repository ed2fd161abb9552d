"""``EvidenceWriter``, the callback that writes a run's folder after every test."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anomalib.metrics import Evaluator
from anomalib.visualization import Visualizer
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from medanomaly import distributed
from medanomaly.evidence import predictions
from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.checks import run_checks
from medanomaly.evidence.checks.run_checks import ALWAYS, CHECKS
from medanomaly.evidence.image_figures import image_metrics, undefined_metrics
from medanomaly.evidence.pixel_figures import PixelFigures
from medanomaly.evidence.run_caveats import FAILED
from medanomaly.evidence.run_layout import PREDICTIONS, REPORT
from medanomaly.evidence.stages import FIGURES, Stages
from medanomaly.report.gallery import Gallery
from medanomaly.runs import run_record
from medanomaly.runs.callback_guard import CallbackGuard
from medanomaly.runs.collected_batches import ROWS, CollectedBatches
from medanomaly.runs.evidence_files import write_evidence, write_report
from medanomaly.runs.first_files import TestTables, write_first_files
from medanomaly.runs.run_record import SCHEMA
from medanomaly.runs.step_outputs import StepOutputs
from medanomaly.runs.tested_model import TestedModel

logger = logging.getLogger(__name__)

POINT, EVALUATION = "operating point", "evaluation"


class EvidenceWriter(Visualizer):
    """Write predictions, validation scores, weights, split, run record, evidence and report into the run's folder.

    Part of every medanomaly model plugin. For another anomalib model, name it as the model's ``visualizer`` or under
    ``trainer.callbacks``, and give the model an :class:`~medanomaly.decision.OperatingPoint` as its
    ``post_processor``: see docs/evidence.md for a configuration. With anomalib's own post-processor raw scores are
    kept all the same, but there is no raw threshold, and no bundle can be made.

    What cannot be had again comes first: predictions, validation scores and the tested weights are written as soon as
    the last batch is through. Each stage after that stands alone. One that fails is named in ``failures``, in the
    evidence, in the report and on the console, its traceback goes into ``failures/``, and the rest goes on.

    Args:
        cases: Pictures of each kind in the report (worst false alarms, worst misses, best hits).
        checks: Whether shortcuts, covered lesions, overfitting and subgroups are looked into, see
            :mod:`medanomaly.evidence.checks`; it reads the validation and test images again. Whether the test shares
            images or groups with training or validation is looked into in any case.
    """

    log: Callable[..., None]  # lightning gives callbacks the module's

    def __init__(self, cases: int = 6, checks: bool = True) -> None:
        super().__init__()
        self.cases, self.checks = cases, checks
        self._first, self._guard = StepOutputs(self._keep), CallbackGuard()
        self._steps = 0  # batches still to come, of several processes
        self._begin(Stages(), froc=False)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What failed after the last test, as :class:`~medanomaly.evidence.stages.Stages` records it."""
        return self._stages.failed

    def _begin(self, stages: Stages, froc: bool) -> None:
        self._stages = self._first.stages = stages
        self._collected = CollectedBatches(stages, Gallery(self.cases), PixelFigures(froc))
        self._kept = TestTables()
        self._evidence: dict[str, Any] | None = None
        self._told = 0  # failures that the written evidence names
        self._open = False  # whether a test is through, and it was not yet said what failed

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Begin a test: forget an earlier one, and take two places among the callbacks, before all others and after."""
        del pl_module
        if stage != "test":
            return
        others = [one for one in trainer.callbacks if one is not self and one is not self._first]
        last = [one for one in others if isinstance(one, Checkpoint)]
        trainer.callbacks = [self._first, *(one for one in others if one not in last), self, *last]
        stages = Stages(Path(trainer.default_root_dir) if trainer.is_global_zero else None)
        stages.forget_earlier()
        self._begin(stages, froc=getattr(trainer.datamodule, "masks_enclose", False))
        self._guard.protect(others, stages)

    def teardown(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Leave the first place."""
        del pl_module, stage
        self._leave(trainer)

    def _leave(self, trainer: Any) -> None:
        self._open = False
        self._guard.release()
        self._first.release()
        trainer.callbacks = [one for one in trainer.callbacks if one is not self._first]

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the batches of several processes."""
        del pl_module
        self._steps = (
            int(max(distributed.gather_numbers(sum(trainer.num_test_batches)))) if distributed.world_size() > 1 else 0
        )

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect a batch: rows, pixel histograms and the few pictures that may reach the report.

        Of several processes the first collects what all have, in the order of the data set.
        """
        del batch, batch_idx, dataloader_idx
        self._steps -= 1
        total = distributed.dataset_length(trainer.test_dataloaders)
        outputs = distributed.gather_batch(
            outputs, None if total is None else max(0, total - len(self._collected.rows))
        )
        if outputs is None:
            return
        predictions.labelled(outputs)
        with self._stages.stage(ROWS, once=True):
            names = getattr(getattr(pl_module, "model", None), "part_names", ())
            names = tuple(names) if getattr(outputs, "parts", None) is not None else ()
            self._collected.add(outputs, names, getattr(pl_module, "post_processor", None))

    def _keep(self, trainer: Any, pl_module: Any) -> None:
        """All batches are through, and no other callback has been asked for its end of the epoch."""
        for _ in range(self._steps):  # the last batches, of which this process has none
            distributed.gather_batch(None)
        self._steps = 0
        self._kept = write_first_files(self._stages, self._collected, trainer, pl_module, self._first.sizes)
        self._open = True

    def on_test_epoch_end(self, trainer: Any, pl_module: LightningModule) -> None:
        """Compute, print and write; of several processes the first, while the others wait."""
        with self._stages.stage(EVALUATION):
            self._finish(trainer, pl_module)
        distributed.broadcast(None)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what failed."""
        del pl_module
        self._tell(trainer)

    def on_exception(self, trainer: Any, pl_module: LightningModule, exception: BaseException) -> None:
        """Evaluate a test that something else ended after its last batch."""
        if self._open and isinstance(exception, Exception) and trainer.is_global_zero:
            self._stages.note("another part of the test", exception)
            if self._evidence is None:
                with self._stages.stage(EVALUATION):
                    self._finish(trainer, pl_module, log=False)
            self._tell(trainer)
        self._leave(trainer)

    def _finish(self, trainer: Any, pl_module: Any, log: bool = True) -> None:
        """Everything that can be made anew from what was kept."""
        if self._kept.predictions is None:  # in any process but the first
            return
        self._evidence, out = self._made(trainer, pl_module), Path(trainer.default_root_dir)
        for name, rows in dict(getattr(pl_module, "findings", {})).items():
            with self._stages.stage(f"table {name}", out / f"{name}.csv"):
                predictions.write(pd.DataFrame(rows), out / f"{name}.csv")
        if log:
            with self._stages.stage("log"):
                self._log(trainer, self._evidence)
        self._publish(out)
        if not self._stages.has_failed("page"):
            print(f"Report: {out / REPORT}")

    def _made(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """The evidence, with what failed undefined."""
        stages, module = self._stages, trainer.datamodule
        run, data = run_record.names(trainer, pl_module), dict(run_record.NO_DATA)
        skipped: list[Any] = []
        mask_note = ""
        with stages.stage("options of the run"):
            run = run_record.run_section(trainer, pl_module)
        with stages.stage("counts of the data"):
            data = run_record.data_section(module)
            skipped = list(getattr(module, "skipped", None) or [])
            mask_note = str(getattr(module, "mask_note", None) or "")
        point = self._point(pl_module, Path(trainer.default_root_dir))
        known = "raw_score" in self._predictions
        unranked = None if known else self._first.unranked or self._collected.unranked
        evidence: dict[str, Any] = {
            "schema": SCHEMA,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "run": run,
            "data": data,
            "operating_point": point,
            "unranked": unranked,
            "image": self._image_figures(point, unranked),
            "pixel": self._collected.pixel_figures(
                self._predictions["group"].to_numpy(),
                mask_note,
                threshold=point is None or bool(point["pixel"]),
            ),
            "skipped": skipped,
            "checks": None,
            "failed": stages.failed,
            "caveats": [],
        }
        with stages.stage("checks"):
            names, validation = CHECKS if self.checks else ALWAYS, self._kept.validation
            evidence["checks"] = run_checks(
                module,
                TestedModel(pl_module),
                self._predictions,
                point,
                validation=validation,
                names=names,
                failed=stages.note,
            )
        with stages.stage("caveats"):
            evidence["caveats"] = caveats(evidence)
        return evidence

    @property
    def _predictions(self) -> pd.DataFrame:
        assert self._kept.predictions is not None
        return self._kept.predictions

    def _point(self, pl_module: Any, out: Path) -> dict[str, Any] | None:
        """The operating point's record; what only some rules know of an image goes into the predictions."""
        post: Any = getattr(pl_module, "post_processor", None)
        point, more = None, {}
        if not hasattr(post, "record"):
            return None
        with self._stages.stage(POINT):
            point = post.record()
            more = predictions.extra(self._predictions["raw_score"].to_numpy(np.float32), point)
        if more:
            with self._stages.stage(ROWS):
                self._kept.predictions = predictions.ordered(self._predictions.assign(**more))
                predictions.write(self._predictions, out / PREDICTIONS)
        return point

    def _image_figures(self, point: dict[str, Any] | None, unranked: str | None) -> dict[str, Any]:
        stages, validation = self._stages, None
        if stages.has_failed(POINT):  # its rule may have two sides: what ranks is not known
            return undefined_metrics(self._predictions, stages.reason(POINT))
        if point and self._kept.validation is not None:
            with stages.stage("validation decisions"):
                validation = predictions.with_decisions(self._kept.validation, point)
        with stages.stage(FIGURES):
            return image_metrics(self._predictions, validation=validation, unranked=unranked)
        return undefined_metrics(self._predictions, stages.reason(FIGURES))

    def _log(self, trainer: Any, evidence: dict[str, Any]) -> None:
        """Pixel figures for the trainer's table and loggers, but for what an evaluator logs under the same name."""
        taken = {metric.name for one in trainer.callbacks if isinstance(one, Evaluator) for metric in one.test_metrics}
        for name in ("auroc", "aupro"):
            if evidence["pixel"] and f"pixel_{name.upper()}" not in taken:
                value = evidence["pixel"][name]["value"]
                self.log(f"pixel_{name.upper()}", math.nan if value is None else value)
        for caveat in evidence["caveats"]:
            if caveat["severity"] == "warning" and caveat["title"] != FAILED:
                logger.warning("%s. %s", caveat["title"], caveat["text"])

    def _publish(self, out: Path) -> None:
        """Write evidence and report; the evidence once more where writing these failed in part."""
        assert self._evidence is not None
        self._told = write_evidence(self._evidence, out, self._stages)
        write_report(self._evidence, self._predictions, self._collected.gallery, out, self._stages)
        if self._told < len(self.failures):
            self._told = write_evidence(self._evidence, out, self._stages)

    def _tell(self, trainer: Any) -> None:
        """Say on the console what failed, and write evidence and report anew if they do not name it."""
        self._open = False
        if self._evidence is not None and self._told < len(self.failures):
            with self._stages.stage(EVALUATION):
                self._publish(Path(trainer.default_root_dir))
        if self.failures and trainer.is_global_zero:
            print(self._stages.line(), file=sys.stderr)
