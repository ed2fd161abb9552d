"""Write first what cannot be had again: predictions, validation scores, weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medanomaly.anomalib_compat.checkpoints import weights_checkpoint
from medanomaly.evidence import predictions
from medanomaly.evidence.run_layout import PREDICTIONS, RUN, SPLIT, VALIDATION, WEIGHTS
from medanomaly.evidence.stages import Stages
from medanomaly.files import replacing, write_json
from medanomaly.runs import run_record
from medanomaly.runs.collected_batches import ROWS, CollectedBatches
from medanomaly.runs.earlier_test import set_aside


@dataclass
class TestTables:
    """The tables of a test, as far as they could be made; ``predictions`` gains columns later."""

    __test__ = False  # pytest takes a class of this name for tests

    predictions: pd.DataFrame | None = None
    validation: pd.DataFrame | None = None


def write_first_files(
    stages: Stages, collected: CollectedBatches, trainer: Any, pl_module: Any, sizes: Collection[tuple[int, int]]
) -> TestTables:
    """Write predictions, validation scores, weights, split and run record, each whatever becomes of the others.

    All processes come here, and the first one writes.

    Args:
        stages: Where failures go.
        collected: The test's batches.
        trainer: Its ``default_root_dir`` is the run's folder.
        pl_module: With the tested weights.
        sizes: Sizes (H, W) of the images as they were read.
    """
    kept, out, first = TestTables(), Path(trainer.default_root_dir), bool(trainer.is_global_zero)
    if first:
        with stages.stage(ROWS, out / PREDICTIONS):
            _predictions(kept, stages, collected, trainer, pl_module)
        with stages.stage("validation scores", out / VALIDATION):
            _validation(kept, stages, trainer, pl_module)
    with stages.stage("weights", out / WEIGHTS if first else None):
        # The very weights that the figures belong to, whichever checkpoint callbacks the user configured. As
        # trainer.save_checkpoint, but without its barrier: if the first process fails here, nobody waits for it.
        checkpoint = weights_checkpoint(trainer)
        file = out / WEIGHTS
        with replacing(file) if first else contextlib.nullcontext(file) as part:
            trainer.strategy.save_checkpoint(checkpoint, part)
    if first:
        with stages.stage("split", out / SPLIT):
            split = run_record.split(trainer.datamodule)
            if split is None:
                (out / SPLIT).unlink(missing_ok=True)
            else:
                predictions.write(split, out / SPLIT)
        with stages.stage("run record", out / RUN):
            write_json(out / RUN, run_record.run_json(trainer, pl_module, sizes))
    return kept


def _predictions(kept: TestTables, stages: Stages, collected: CollectedBatches, trainer: Any, pl_module: Any) -> None:
    if not collected.rows:
        raise ValueError("no image was tested")
    rows = predictions.predictions_of(
        collected.rows, mapped=hasattr(getattr(pl_module, "post_processor", None), "record")
    )
    out = Path(trainer.default_root_dir)
    kept.predictions = _known(stages, trainer, lambda table: predictions.with_labels(rows, table))
    with stages.stage("record of an earlier test"):
        set_aside(out, kept.predictions)
    predictions.write(kept.predictions, out / PREDICTIONS)


def _validation(kept: TestTables, stages: Stages, trainer: Any, pl_module: Any) -> None:
    rows = getattr(getattr(pl_module, "post_processor", None), "validation", None)
    file = Path(trainer.default_root_dir) / VALIDATION
    if not rows:
        file.unlink(missing_ok=True)  # of an earlier test
        return
    kept.validation = _known(stages, trainer, lambda table: predictions.validation_table(rows, table))
    predictions.write(kept.validation, file)


def _known(stages: Stages, trainer: Any, join: Callable[[pd.DataFrame | None], pd.DataFrame]) -> pd.DataFrame:
    """Rows with what the sample table says of their images; with the truth alone where that fails."""
    with stages.stage("labels and groups", once=True):
        return join(getattr(trainer.datamodule, "table", None))
    return join(None)
