"""anomalib's engine, with public methods for what ours overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anomalib.engine import Engine
from lightning import Trainer


class HookedEngine(Engine):
    """anomalib's engine; subclasses override the three ``set_up`` methods."""

    @property
    def trainer_options(self) -> dict[str, Any]:
        """The trainer's options, ``default_root_dir`` among them; changes count until the trainer is made."""
        return self._cache.args

    @property
    def made_trainer(self) -> Trainer | None:
        """The trainer; None before it is made."""
        return self._trainer

    def set_up_folder(
        self, model: Any, loaders: tuple[Any, Any, Any], datamodule: Any, dataset: Any, versioned: bool
    ) -> None:
        """Put the run's folder into ``default_root_dir``.

        Args:
            model: The model.
            loaders: Of training, validation and test; None where there is none.
            datamodule: The data module, if there is one.
            dataset: The data set, if there is one.
            versioned: Whether it is a new folder; else it is ``latest``.
        """
        super()._setup_workspace(model, *loaders, datamodule, dataset, versioned)

    def set_up_trainer(self, model: Any) -> None:
        """Make the trainer."""
        super()._setup_trainer(model)

    def set_up_checkpoint_io(self, model: Any) -> None:
        """Put the way of writing checkpoints among the trainer's plugins."""
        super()._ensure_checkpoint_io_plugin(model)

    def strategy_brings_checkpoint_io(self) -> bool:
        """Whether the user's strategy has a way of writing checkpoints."""
        return self._strategy_checkpoint_io() is not None

    def _setup_workspace(
        self,
        model: Any,
        train_dataloaders: Any = None,
        val_dataloaders: Any = None,
        test_dataloaders: Any = None,
        datamodule: Any = None,
        dataset: Any = None,
        versioned_dir: bool = False,
    ) -> None:
        loaders = (train_dataloaders, val_dataloaders, test_dataloaders)
        self.set_up_folder(model, loaders, datamodule, dataset, versioned_dir)

    def _setup_trainer(self, model: Any) -> None:
        self.set_up_trainer(model)

    def _ensure_checkpoint_io_plugin(self, model: Any) -> None:
        self.set_up_checkpoint_io(model)


def point_latest_on_windows(link: Path, folder: Path) -> None:
    """Make ``link`` stand for ``folder`` on Windows."""
    from anomalib.utils.path import _make_latest_windows

    _make_latest_windows(link, folder)
