"""The callback that leaves evidence, predictions and a report in the run's folder after every test."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from anomalib.visualization import Visualizer
from lightning import LightningModule, Trainer

from medanomaly import ranks, seeds
from medanomaly.data.table import counts, digest
from medanomaly.evidence import run_tables as tables
from medanomaly.evidence.caveats import caveats
from medanomaly.evidence.checks import run_checks
from medanomaly.evidence.checks.every import ALWAYS, CHECKS
from medanomaly.evidence.gallery import Gallery
from medanomaly.evidence.image_figures import image_metrics
from medanomaly.evidence.pixel_figures import PixelFigures
from medanomaly.evidence.report import render

logger = logging.getLogger(__name__)

#: Version of the layout of ``evidence.json`` and ``run.json``.
SCHEMA = 1
#: The tested weights, below the run's folder.
WEIGHTS = "weights/tested.ckpt"
_PACKAGES = ("medanomaly", "anomalib", "torch", "lightning", "openvino", "numpy")


class EvidenceWriter(Visualizer):
    """Write evidence, predictions, validation scores, report, split, run record and weights into the run's folder.

    Part of every medanomaly model plugin; for another anomalib model, name it under ``trainer.callbacks`` and give the
    model an :class:`~medanomaly.decision.OperatingPoint`, so that raw scores are known.

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
        self._steps = 0  # batches still to come, of several processes
        self._clear(froc=False)

    def _clear(self, froc: bool) -> None:
        self._rows: list[dict[str, Any]] = []
        self._pixels = PixelFigures(froc)
        self._pixel_rows: list[int] = []
        self._gallery = Gallery(self.cases)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what an earlier test left."""
        del pl_module
        self._steps = int(max(ranks.counts(sum(trainer.num_test_batches)))) if ranks.number() > 1 else 0
        self._clear(froc=getattr(trainer.datamodule, "masks_enclose", False))  # type: ignore[attr-defined]

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
        total = ranks.length(trainer.test_dataloaders)
        outputs = ranks.on_first(outputs, None if total is None else max(0, total - len(self._rows)))
        if outputs is None or not len(outputs.pred_score):
            return
        model: Any = pl_module.model
        names = model.part_names if getattr(outputs, "parts", None) is not None else ()
        rows = tables.rows_of(outputs, names, getattr(pl_module, "post_processor", None))
        first, truth = len(self._rows), np.array([row["abnormal"] for row in rows], dtype=bool)
        self._rows += rows
        for i, row in enumerate(rows):
            self._gallery.offer(outputs, i, row, first + i)
        if outputs.anomaly_map is not None and outputs.gt_mask is not None:
            marked = outputs.gt_mask.flatten(1).any(dim=1).cpu().numpy()
            known = np.flatnonzero(~truth | marked)
            if len(known):
                index = torch.as_tensor(known)
                marks = None if outputs.pred_mask is None else outputs.pred_mask.cpu()[index]
                self._pixels.update(outputs.anomaly_map.cpu()[index], outputs.gt_mask.cpu()[index], marks)
                self._pixel_rows += (first + known).tolist()

    def on_test_epoch_end(self, trainer: Any, pl_module: LightningModule) -> None:
        """Compute, print and write; of several processes the first, while the others wait."""
        for _ in range(self._steps):  # the last batches, of which this process has none
            ranks.on_first(None)
        out = Path(trainer.default_root_dir)
        if self._rows and trainer.is_global_zero:
            out.mkdir(parents=True, exist_ok=True)
            self._write(trainer, pl_module, out)
        if ranks.from_first(bool(self._rows)):
            # The very weights that the figures belong to, whichever checkpoint callbacks the user configured.
            trainer.save_checkpoint(out / WEIGHTS, weights_only=True)
            if trainer.is_global_zero:
                print(f"Report: {out / 'report.html'}")

    def _write(self, trainer: Any, pl_module: LightningModule, out: Path) -> None:
        table = getattr(trainer.datamodule, "table", None)
        post: Any = getattr(pl_module, "post_processor", None)
        point = post.record() if hasattr(post, "record") else None
        predictions = pd.DataFrame(self._rows)
        if point:
            predictions = predictions.assign(**tables.extra(predictions["raw_score"].to_numpy(np.float32), point))
        predictions = tables.joined(predictions, table)
        validation = None
        if point and post.validation:
            validation = tables.validation_table(post.validation, table)
            tables.write(validation, out / tables.VALIDATION)
            validation = tables.decided(validation, point)
        evidence = self._evidence(trainer, pl_module, predictions, validation, table, point)
        if evidence["pixel"]:
            for name in ("auroc", "aupro"):
                value = evidence["pixel"][name]["value"]
                self.log(f"pixel_{name.upper()}", float("nan") if value is None else value)
        labels = dict(zip(predictions["path"], predictions["label"], strict=True))
        tables.write(predictions, out / tables.PREDICTIONS)
        write_json(out / "evidence.json", evidence)
        gallery = self._gallery.shown(labels)
        page = render(evidence, tables.ranked(predictions), predictions["abnormal"].to_numpy(), gallery)
        (out / "report.html").write_text(page, encoding="utf-8")
        for name, rows in dict(getattr(pl_module, "findings", {})).items():
            pd.DataFrame(rows).to_csv(out / f"{name}.csv", index=False, float_format="%.9g")
        self._write_run(trainer, out, evidence, table)
        for caveat in evidence["caveats"]:
            if caveat["severity"] == "warning":
                logger.warning("%s. %s", caveat["title"], caveat["text"])

    def _evidence(
        self,
        trainer: Any,
        pl_module: Any,
        predictions: pd.DataFrame,
        validation: pd.DataFrame | None,
        table: pd.DataFrame | None,
        point: dict[str, Any] | None,
    ) -> dict[str, Any]:
        module = trainer.datamodule
        pixel = None
        if len(self._pixels):
            groups = predictions["group"].to_numpy()[self._pixel_rows]
            threshold = point is None or bool(point["pixel"])
            pixel = self._pixels.figures(groups, getattr(module, "mask_note", ""), threshold)
        options = _plain(dict(pl_module.hparams))
        evidence: dict[str, Any] = {
            "schema": SCHEMA,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "run": {
                "model": type(pl_module).__name__,
                "model_class": f"{type(pl_module).__module__}.{type(pl_module).__name__}",
                "data": type(module).__name__,
                "data_class": f"{type(module).__module__}.{type(module).__name__}",
                "options": options,
                "data_options": _plain(dict(getattr(module, "hparams", {}))),
                "seed": seeds.known_seed(pl_module),
                "epochs": trainer.fit_loop.epoch_progress.current.completed or None,
                "checkpoints": list(getattr(pl_module, "findings", {}).get("checkpoint_choice", [])),
                "versions": {
                    **{name: v for name in _PACKAGES if (v := _version(name))},
                    "python": platform.python_version(),
                },
            },
            "data": {
                "counts": counts(table) if table is not None else [],
                "groups_known": getattr(module, "independent", False)
                or (table is not None and bool(table["group"].duplicated().any())),
                "split_sha256": digest(table) if table is not None else None,
                "reading": module.reading.to_dict() if hasattr(module, "reading") else None,
            },
            "operating_point": point,
            "image": image_metrics(predictions, validation=validation),
            "pixel": pixel,
            "skipped": list(getattr(module, "skipped", [])),
            "checks": run_checks(
                module, pl_module, predictions, point, validation=validation, names=CHECKS if self.checks else ALWAYS
            ),
        }
        evidence["caveats"] = caveats(evidence)
        return evidence

    def _write_run(
        self,
        trainer: Any,
        out: Path,
        evidence: dict[str, Any],
        table: pd.DataFrame | None,
    ) -> None:
        if table is not None:
            root = Path(trainer.datamodule.root)
            listed = table.assign(path=[_below(root, path) for path in table["image_path"]])
            listed[["path", "label", "group", "split"]].to_csv(out / "split.csv", index=False)
        run = evidence["run"]
        write_json(
            out / "run.json",
            {
                "schema": SCHEMA,
                "model": {"class_path": run["model_class"], "weights": WEIGHTS},
                "data": {"class_path": run["data_class"], "init_args": run["data_options"]},
                "reading": evidence["data"]["reading"],
            },
        )


def _below(root: Path, path: str) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> Any:
    """Options as JSON values; objects by their class name."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if isinstance(value, Path) else type(value).__name__


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record of plain values; NaN and infinity are refused."""
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
