"""Check before a run begins what can be known to be wrong; nothing is written and no image is read."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from anomalib import LearningType

from medanomaly import seeds
from medanomaly.options import OptionError, one_line, shown, wrong_value
from medanomaly.runs.checkpoint_files import check_fits
from medanomaly.training.class_names import class_error
from medanomaly.training.option_blame import places
from medanomaly.training.parse_errors import Typed, missing

logger = logging.getLogger(__name__)

#: Commands that need a model's trained weights.
_OF_WEIGHTS = ("test", "validate", "predict")

#: Options of the trainer, and the least that they may be; lightning divides by some of them.
_LEAST_OF_TRAINER: Mapping[str, float] = {"check_val_every_n_epoch": 1, "accumulate_grad_batches": 1}

#: Options of the trainer by which a part of the run may be left out; without it there would be no result.
_PARTS = {"limit_train_batches": ("train", "fit"), "limit_val_batches": ("train", "fit", "validate")}

#: Options of any model or data module, and the least that they may be.
_LEAST: Mapping[str, float] = {
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "num_workers": 0,
    "cache_mb": 0,
    "learning_rate": 0,
    "adversarial_learning_rate": 0,
    "weight_decay": 0,
}


def check_words(command: str, args: Sequence[str]) -> None:
    """Look at configuration files, and at the classes that are named on the command line.

    Raises:
        OptionError: for a file that is no configuration, or a class that is not there or of another kind.
    """
    for option, value in _pairs(args):
        if option.endswith(".init_args") and not value.lstrip().startswith("{"):
            raise wrong_value(option, value, f"name an option, as in {option}.NAME, or give several in braces", ())
        if option in ("--config", "-c"):
            check_config(option, Path(value))
        kind = option.removeprefix("--")
        if kind == "model" or (kind == "data" and command != "predict"):
            if Path(value).is_file() or value.lstrip().startswith("{"):  # a configuration of the class
                continue
            problem = class_error(option, kind, value)
            if problem is not None:
                raise problem


def _pairs(args: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for i, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        wanted = name in ("--config", "-c", "--model", "--data") or (name[:2] == "--" and name.endswith(".init_args"))
        if wanted and (equals or i + 1 < len(args)):
            pairs.append((name, value if equals else args[i + 1]))
    return pairs


def check_config(option: str, path: Path) -> None:
    """See that a file is a configuration.

    Args:
        option: What the user names it by; empty for an argument without a name.
        path: The file.

    Raises:
        OptionError: if it is missing, unreadable, no YAML, or no mapping.
    """
    named = f"{option} {shown(path)}".strip()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{named}: cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{named}: is not UTF-8 text (byte {error.start}).") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise OptionError(f"{named}{where}: is no YAML ({one_line(problem or error)}).") from error
    if not isinstance(content, Mapping):
        raise OptionError(f"{named}: is no configuration: it holds no options, as in `model:` and `data:`.")


def check_values(command: str, config: Any, typed: Typed) -> None:
    """Look at numbers that neither a type nor a constructor bounds, and at where the run is to be written.

    Args:
        command: The command's name.
        config: Its parsed configuration; classes are not made yet.
        typed: The arguments as they were typed.

    Raises:
        OptionError: for the first that is wrong.
    """
    trainer = config.get("trainer") or {}
    if command in ("train", "fit"):
        for name in ("max_epochs", "max_steps"):
            value = trainer.get(name)
            if value is not None and value != -1 and value < 1:
                _refuse(typed, f"trainer.{name}", value, "must be at least 1, or -1 for no end")
        epochs, every = trainer.get("max_epochs"), trainer.get("check_val_every_n_epoch")
        if epochs and every and 0 < epochs < every:
            _refuse(typed, "trainer.check_val_every_n_epoch", every, f"must be at most max_epochs, {epochs}")
    for name, least in _LEAST_OF_TRAINER.items():
        value = trainer.get(name)
        if value is not None and value < least:
            _refuse(typed, f"trainer.{name}", value, f"must be at least {least:g}")
    for name, commands in _PARTS.items():
        if command in commands and trainer.get(name) == 0:
            _refuse(typed, f"trainer.{name}", 0, "must be more than 0: the operating point is chosen in validation")
    _check_devices(trainer, typed)
    for place, _, options in places(config):
        if place.partition(".")[0] not in ("model", "data"):
            continue
        if "seed" in options:
            seeds.check(typed.option(f"{place}.init_args.seed")[0], options["seed"])
        for name, least in _LEAST.items():
            value = options.get(name)
            if isinstance(value, (int, float)) and not value >= least:
                _refuse(typed, f"{place}.init_args.{name}", value, f"must be at least {least:g}")
    _check_folder(Path(config.get("default_root_dir") or "results"), typed)
    if command in ("train", "fit", "test", "validate") and config.get("data") is None:
        raise missing("data")


def _check_devices(trainer: Mapping[str, Any], typed: Typed) -> None:
    """On a CPU each device is a process of some hundred MiB, and nothing but memory bounds their number."""
    devices = str(trainer.get("devices"))
    most = max(os.cpu_count() or 1, 8)
    on_cpu = trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()
    if on_cpu and devices.isdigit() and int(devices) > most:
        _refuse(typed, "trainer.devices", devices, f"must be from 1 to {most}: each is a process on this machine's CPU")


def _refuse(typed: Typed, place: str, value: object, reason: str) -> None:
    raise wrong_value(typed.option(place)[0], value, reason, ())


def _check_folder(folder: Path, typed: Typed) -> None:
    """See that a run's folder can be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        _refuse(typed, "default_root_dir", folder, f"{there} is a file, not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        _refuse(typed, "default_root_dir", folder, f"{there} is not to be written to")


def check_start(
    command: str, model: Any, module: Any, checkpoint: str | Path | None, trainer: Mapping[str, Any]
) -> None:
    """Look whether the run has the weights that it needs.

    Args:
        command: The command's name.
        model: The model, as it was made.
        module: The data module.
        checkpoint: The option ``ckpt_path``.
        trainer: The trainer's options.

    Raises:
        OptionError: if a command that needs trained weights has none, or they do not fit.
    """
    untrained = model.learning_type in (LearningType.ZERO_SHOT, LearningType.FEW_SHOT)
    if not checkpoint:
        if command in _OF_WEIGHTS and not untrained:
            raise OptionError(
                f"--ckpt_path must be given: `{command}` needs trained weights, such as weights/tested.ckpt of a run's "
                "folder."
            )
        return
    resume = command in ("train", "fit")
    found = check_fits(Path(checkpoint), model, resume, trainer.get("max_epochs"))
    then = (found.get("datamodule_hyper_parameters") or {}).get("seed")
    now = dict(getattr(module, "hparams", None) or {}).get("seed")
    if then is not None and now is not None and then != now:
        logger.warning(
            "The checkpoint's images were dealt by the seed %s, these are by %s: where splits are drawn, test images "
            "may have been trained on. Add --data.init_args.seed %s.", then, now, then
        )  # fmt: skip
