"""anomalib's engine with a run folder that several processes share, and a ``latest`` that can be relied on."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from medanomaly.anomalib_compat.engine import HookedEngine, point_latest_on_windows
from medanomaly.errors import MedAnomalyError
from medanomaly.runs.checkpoint_files import WholeCheckpointIO

logger = logging.getLogger(__name__)

#: Where launchers (lightning's own, torchrun, SLURM) say which process this is.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")

#: Where the first process tells those that it starts the run's folder.
_FOLDER = "MEDANOMALY_RUN_FOLDER"

_LATEST = "latest"


def later_process() -> bool:
    """Whether this is another than the first of several processes."""
    return any(int(os.environ.get(name) or 0) for name in _RANKS)


class TrainerRefusedError(MedAnomalyError):
    """lightning refuses one of the trainer's options.

    Args:
        options: All of them.
        cause: What lightning raised.
    """

    def __init__(self, options: dict[str, Any], cause: Exception) -> None:
        super().__init__(str(cause))
        self.options, self.cause = options, cause


class RunEngine(HookedEngine):
    """anomalib's engine; of several processes only the first makes the run's folder.

    ``latest`` moves to the new folder when its first checkpoint is whole, not before: a run that fails at once, or
    whose disk is full, leaves it where it was.

    Args:
        tests: Whether it tests a checkpoint and trains nothing. anomalib would write over the test of the run that
            ``latest`` stands for; here the test gets a folder of its own.
        *args, **kwargs: As for anomalib's engine.
    """

    def __init__(self, *args: Any, tests: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tests = tests
        #: The run's folder, if this process made one.
        self.folder: Path | None = None
        #: How checkpoints are written, unless the user brings a way of his own.
        self.saving = WholeCheckpointIO(saved=lambda _: self.point_latest())
        self._pointed = False
        self._made: list[Path] = []  # folders above the run's, the innermost first

    def set_up_folder(
        self, model: Any, loaders: tuple[Any, Any, Any], datamodule: Any, dataset: Any, versioned: bool
    ) -> None:
        """Make the run's folder, in the first of several processes."""
        base = Path(self.trainer_options["default_root_dir"])
        versioned = versioned or (self.tests and self.folder is None)
        if not versioned or later_process():
            super().set_up_folder(model, loaders, datamodule, dataset, versioned=False)
            if versioned and os.environ.get(_FOLDER):
                self.trainer_options["default_root_dir"] = Path(os.environ[_FOLDER])
            return
        # The name as anomalib composes it; it would move `latest` at once.
        source = next((s for s in (datamodule, dataset) if s is not None), None)
        source = source or next((loader.train_data for loader in loaders if hasattr(loader, "train_data")), None)
        parts = (getattr(source, "name", None) or "", getattr(source, "category", None) or "")
        parent = base.joinpath(model.name, *parts).resolve()
        self._made = [path for path in (parent, *parent.parents) if not path.exists()]
        self.folder = _new_folder(parent)
        self.trainer_options["default_root_dir"] = self.folder
        os.environ[_FOLDER] = str(self.folder)

    def set_up_trainer(self, model: Any) -> None:
        """Make the trainer.

        Raises:
            TrainerRefusedError: if lightning refuses one of its options.
        """
        try:
            super().set_up_trainer(model)
        except Exception as error:
            if self.made_trainer is None:
                raise TrainerRefusedError(dict(self.trainer_options), error) from error
            raise

    def set_up_checkpoint_io(self, model: Any) -> None:
        """Write whole checkpoints, unless the user brings a way of his own."""
        plugins = self.trainer_options.get("plugins")
        given = list(plugins) if isinstance(plugins, (list, tuple)) else [] if plugins is None else [plugins]
        own = any(isinstance(plugin, CheckpointIO) for plugin in given) or self.strategy_brings_checkpoint_io()
        if not own and self.made_trainer is None:
            self.trainer_options["plugins"] = [*given, self.saving]
        super().set_up_checkpoint_io(model)

    def point_latest(self) -> None:
        """Let ``latest`` be the run's folder, in one step; once is enough."""
        if self.folder is None or self._pointed:
            return
        self._pointed = True
        link, part = self.folder.with_name(_LATEST), self.folder.with_name(f".{_LATEST}.part")
        try:
            if sys.platform.startswith("win"):
                point_latest_on_windows(link, self.folder)
            else:
                part.unlink(missing_ok=True)
                part.symlink_to(self.folder, target_is_directory=True)
                os.replace(part, link)  # noqa: PTH105 (atomic, also over an existing link)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            logger.warning("%s cannot be made to stand for %s (%s).", link, self.folder, error.strerror or error)

    def discard(self) -> None:
        """Take the run's folder away if nothing but its configuration is in it: the run was refused before it began."""
        if self.folder is None or not self.folder.is_dir():
            return
        if {path.name for path in self.folder.rglob("*") if not path.is_dir()} <= {"config.yaml"}:
            shutil.rmtree(self.folder, ignore_errors=True)
            for parent in self._made:
                with suppress(OSError):  # another run is in it by now
                    parent.rmdir()
            self.folder = None


def _new_folder(parent: Path) -> Path:
    """The next of ``v0``, ``v1``, …, made."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(m.group(1)) for path in parent.iterdir() if (m := re.fullmatch(r"v(\d+)", path.name))]
    number = max(taken, default=-1) + 1
    while True:
        try:
            (parent / f"v{number}").mkdir()
        except FileExistsError:  # another run was quicker
            number += 1
        else:
            return parent / f"v{number}"
