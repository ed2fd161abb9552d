"""anomalib's command line with every plugin loaded, short names, defaults that end, and a seed that is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from anomalib.cli.cli import AnomalibCLI
from anomalib.engine import Engine
from jsonargparse import ArgumentParser
from lightning import seed_everything

from medanomaly.data.datamodule import DataError
from medanomaly.data.table import TableError
from medanomaly.decision.rules import RuleError
from medanomaly.imaging import ImageError
from medanomaly.registry import plugins, register

#: Epochs when neither a configuration nor an option says: lightning's own default is 1,000.
DEFAULT_EPOCHS = 30

#: Where launchers (lightning's own, torchrun, SLURM) say which process this is.
_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")

_KINDS = {"--model": "model", "--data": "data"}


def with_addresses(args: Sequence[str]) -> list[str]:
    """Replace short plugin names after ``--model`` and ``--data`` by their class paths.

    Ours come before anomalib's classes of the same name (both have a ``Folder``); a class path always says which.
    """
    result: list[str] = []
    for arg in args:
        option, equals, value = arg.partition("=")
        if option in _KINDS and equals:
            result.append(f"{option}={_address(_KINDS[option], value)}")
        elif result and result[-1] in _KINDS:
            result.append(_address(_KINDS[result[-1]], arg))
        else:
            result.append(arg)
    return result


def _address(kind: str, name: str) -> str:
    found = plugins(kind).get(name)
    return found[0].address if found else name


class RunEngine(Engine):
    """anomalib's engine; of several processes only the first makes the run's folder and moves ``latest`` there."""

    def _setup_workspace(self, *args: Any, **kwargs: Any) -> None:
        later = any(int(os.environ.get(name) or 0) for name in _RANKS)
        if later:
            kwargs["versioned_dir"] = False
        super()._setup_workspace(*args, **kwargs)


class CommandLine(AnomalibCLI):
    """anomalib's commands; an unset number of epochs is ``DEFAULT_EPOCHS``, and ``--seed_everything`` is obeyed."""

    @staticmethod
    def _add_default_arguments_to_parser(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seed_everything",
            type=bool | int,
            default=0,
            help="Seed before anything is built; True for a random one.",
        )

    @staticmethod
    def _add_trainer_arguments_to_parser(parser: ArgumentParser, *args, **kwargs) -> None:
        AnomalibCLI._add_trainer_arguments_to_parser(parser, *args, **kwargs)
        parser.set_defaults({"trainer.max_epochs": DEFAULT_EPOCHS})

    def before_instantiate_classes(self) -> None:
        """Seed first: anomalib parses the option and forgets it."""
        super().before_instantiate_classes()
        seed = self.config[self.config["subcommand"]].get("seed_everything")
        if seed is not None and seed is not False:
            seed_everything(None if seed is True else int(seed), workers=True, verbose=False)

    def instantiate_engine(self) -> None:
        """An engine that several processes can share."""
        super().instantiate_engine()
        self.engine = RunEngine(**self.engine._cache.args)

    def _run_subcommand(self) -> None:
        """Run the command; a resumed training is tested with the weights that it ended with.

        anomalib hands ``train --ckpt_path`` on to the test, which then loads the checkpoint that training started from.
        """
        kwargs = self._prepare_subcommand_kwargs(self.subcommand) if self.subcommand == "train" else {}
        if not kwargs.get("ckpt_path"):
            return super()._run_subcommand()
        model, module = kwargs["model"], kwargs["datamodule"]
        self.engine.fit(model, datamodule=module, ckpt_path=kwargs["ckpt_path"])
        self.engine.trainer.test(model, datamodule=module)
        return None


def run(args: Sequence[str]) -> int:
    """Run one of anomalib's commands; returns the exit status. Errors of data and rules are one message, no trace."""
    register()
    try:
        CommandLine(with_addresses(args))
    except (DataError, TableError, RuleError, ImageError) as error:
        print(f"medanomaly: {error}", file=sys.stderr)
        return 2
    return 0
