"""Write checkpoints whole or not at all, and check one before a run resumes from it."""

from __future__ import annotations

import copy
import io
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from medanomaly.anomalib_compat.checkpoint_io import AnomalibCheckpointIO, anomalib_safe_globals
from medanomaly.anomalib_compat.checkpoints import checkpoint_epochs
from medanomaly.failures import cannot_write
from medanomaly.files import write_whole
from medanomaly.options import OptionError, one_line


class CheckpointError(OptionError):
    """A checkpoint cannot be written or used. The message says which, why, and what to do."""


class WholeCheckpointIO(AnomalibCheckpointIO):
    """anomalib's, but a checkpoint's name never stands for a torn file, and reading says in one sentence what is wrong.

    lightning copies from the system's folder for temporary files onto the final name, which a full disk tears.

    Args:
        saved: Called with each path after its file is whole.
    """

    def __init__(self, saved: Callable[[Path], None] | None = None) -> None:
        super().__init__()
        self._saved = saved
        #: The last checkpoint that training can go on from; None before the first.
        self.last: Path | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: if the disk is full or the place is not to be written to; an older file of the name stays.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, buffer.getbuffer())
        except OSError as error:
            remedy = "Name another place with --default_root_dir."
            if self.last is not None and self.last.is_file():
                remedy += f" The checkpoint before is whole: go on with --ckpt_path {self.last}"
            raise CheckpointError(cannot_write(target, error, remedy)) from error
        if "loops" in checkpoint:
            self.last = target
        if self._saved is not None:
            self._saved(target)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read a checkpoint; nothing in it is ever run.

        Raises:
            CheckpointError: if it is none.
        """
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)  # type: ignore[arg-type]
        return read(Path(path), self.extra_safe_globals, map_location)


def read(path: Path, safe: Any = (), map_location: Any = None) -> dict[str, Any]:
    """The content of a checkpoint.

    Args:
        path: The file.
        safe: Types of the model's own that it may hold, besides plain values and tensors.
        map_location: As for ``torch.load``.

    Raises:
        CheckpointError: if it cannot be read, or is no checkpoint of lightning.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such checkpoint. Training writes weights/lightning/model.ckpt.")
    if not path.is_file():
        raise CheckpointError(f"{path}: is no file. Name the checkpoint itself, such as weights/lightning/model.ckpt.")
    try:
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path}: is no checkpoint, or only part of one.")
        with anomalib_safe_globals(extra=list(safe)):
            found = torch.load(path, map_location=map_location, weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except CheckpointError:
        raise
    except Exception as error:  # torch and its reader raise half a dozen kinds
        reason = one_line(error).partition(" Please file")[0]
        raise CheckpointError(
            f"{path}: is no checkpoint that can be read ({type(error).__name__}: {reason[:160]}). Files that hold "
            "more than tensors and plain values can run code, and are refused."
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise CheckpointError(f"{path}: is no checkpoint of a training (it has no state_dict).")
    return found


def check_fits(path: Path, model: Any, resume: bool, max_epochs: int | None) -> dict[str, Any]:
    """Look whether a run can start from a checkpoint, before anything is written.

    Args:
        path: The checkpoint.
        model: The model that is to take its weights; not changed.
        resume: Whether training is to go on from it.
        max_epochs: The trainer's; -1 or None for no end.

    Returns:
        The checkpoint's content.

    Raises:
        CheckpointError: if the file is no checkpoint, of another model, or training cannot go on from it.
    """
    found = read(path, model.checkpoint_safe_globals(), "cpu")
    try:
        trial = copy.deepcopy(model)
        trial.on_load_checkpoint(found)
        trial.load_state_dict(found["state_dict"], strict=trial.strict_loading)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        wanted = set(model.state_dict())
        held = set(found["state_dict"])
        lacks, more = sorted(wanted - held), sorted(held - wanted)
        why = f"it lacks {lacks[0]}" if lacks else f"it has {more[0]}" if more else one_line(error)[:200]
        raise CheckpointError(
            f"{path}: is of another model than {type(model).__name__} with these options ({why}). Name the "
            "checkpoint's own model and options, as config.yaml in its run's folder does."
        ) from error
    if resume:
        _check_resumes(path, found, max_epochs)
    return found


def _check_resumes(path: Path, found: dict[str, Any], max_epochs: int | None) -> None:
    if "loops" not in found or "optimizer_states" not in found:
        raise CheckpointError(
            f"{path}: holds weights alone, and training cannot go on from it. Name weights/lightning/model.ckpt of its "
            "run, or use `medanomaly test`."
        )
    trained = checkpoint_epochs(found)
    if max_epochs not in (None, -1) and trained > int(max_epochs or 0):
        raise CheckpointError(
            f"--trainer.max_epochs {max_epochs}: the checkpoint {path} has {trained} epochs already. Name {trained} "
            "or more, or use `medanomaly test`."
        )


def why_not(path: Path, model: Any, error: Exception) -> str:
    """Why a model cannot be made of a checkpoint.

    Args:
        path: The checkpoint.
        model: The model's class.
        error: What came of loading it.
    """
    try:
        read(path, model.checkpoint_safe_globals(), "cpu")
    except CheckpointError as unreadable:
        return str(unreadable)
    reason = f"{type(error).__name__}: {one_line(error)[:200]}"
    return f"{path}: no {model.__name__} can be made of it ({reason}). Test the run again."


def install(trainer: Any) -> None:
    """Let a trainer of any engine write whole checkpoints; a user's own way of writing them stays."""
    if type(trainer.strategy.checkpoint_io) is AnomalibCheckpointIO:
        whole = WholeCheckpointIO()
        whole.extra_safe_globals = trainer.strategy.checkpoint_io.extra_safe_globals
        trainer.strategy.checkpoint_io = whole
        logging.getLogger(__name__).debug("checkpoints are written as a whole")
