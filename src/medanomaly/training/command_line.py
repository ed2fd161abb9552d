"""anomalib's command line with every plugin loaded, short names, defaults that end, and a seed that is used."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning import seed_everything
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from medanomaly import seeds
from medanomaly.anomalib_compat.command_line import HookedCommandLine
from medanomaly.data.datamodule import DataError, PluginFailedError
from medanomaly.data.table import TableError
from medanomaly.decision.rules import RuleError
from medanomaly.evidence.stages import failures_of
from medanomaly.failures import FAILED, cannot_write, fail, fail_traced, refused, unexpected
from medanomaly.imaging import ImageError
from medanomaly.models.backbone import BackboneError
from medanomaly.options import DEFAULT_EPOCHS, OptionError, wrong_value
from medanomaly.registry import PluginError, plugins, register
from medanomaly.signals import Stopped, stop_on_signals
from medanomaly.training import option_blame, preflight
from medanomaly.training.benchmark import BenchmarkError, SeededBenchmark
from medanomaly.training.engine import RunEngine, TrainerRefusedError, later_process
from medanomaly.training.parse_errors import Typed, explain
from medanomaly.training.resume_hint import stopped

logger = logging.getLogger(__name__)

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


class CommandLine(HookedCommandLine):
    """anomalib's commands; an unset number of epochs is ``DEFAULT_EPOCHS``, and ``--seed`` is obeyed.

    Args:
        args: The command and its arguments; class paths instead of short names.
        run: Whether to run the command, or only to make its objects.

    Raises:
        OptionError: for whatever is wrong with an option: see :mod:`medanomaly.training.parse_errors`,
            :mod:`medanomaly.training.option_blame` and :mod:`medanomaly.training.preflight`.
    """

    engine: RunEngine

    def __init__(self, args: Sequence[str], run: bool = True) -> None:
        self.args, self.typed = list(args), Typed(args)
        #: The run's seed, if it was drawn at random.
        self.drawn_seed: int | None = None
        try:
            super().__init__(self.args, run)
        except ArgumentError as error:
            parser = self.subcommand_parsers.get(self.args[0] if self.args else "", self.parser)
            raise explain(str(error), parser, self.args) from error

    @staticmethod
    def init_parser(**kwargs: Any) -> ArgumentParser:
        """A parser that raises instead of printing forty lines, and takes no option by half its name."""
        return HookedCommandLine.init_parser(**{"exit_on_error": False, "allow_abbrev": False, **kwargs})

    @staticmethod
    def add_seed_arguments(parser: ArgumentParser) -> None:
        """Add the run's seed, by both of its names."""
        parser.add_argument(
            "--seed_everything",
            type=bool | int,
            default=0,
            help="Seed of model, data and order, unless their init_args name one; true for a random one.",
        )
        parser.add_argument("--seed", type=bool | int | None, default=None, help="The same, in short.")

    @staticmethod
    def add_arguments_to_parser(parser: ArgumentParser) -> None:
        """End a training whose number of epochs is not set; anomalib would train a thousand."""
        HookedCommandLine.add_arguments_to_parser(parser)
        parser.set_defaults({"trainer.max_epochs": DEFAULT_EPOCHS})

    @cached_property
    def given(self) -> Namespace:
        """The command's configuration without defaults: what the user says in files and on the command line."""
        command, *rest = self.args
        # The parser links this option to the trainer's, and so must find it.
        args = [command, "--default_root_dir", "results", *rest]
        return self.parser.parse_args(args, defaults=False)[command]

    @property
    def options(self) -> Namespace:
        """The command's configuration."""
        return self.config[self.config["subcommand"]]

    def before_instantiate_classes(self) -> None:
        """Look at the values, and seed: anomalib parses the option and forgets it."""
        super().before_instantiate_classes()
        if "seed_everything" not in self.options:  # of a pipeline
            return
        preflight.check_values(self.subcommand, self.options, self.typed)
        self._seed()

    def _seed(self) -> None:
        """Give the run's seed to whoever is not given one of its own, and to what is drawn without one."""
        seed, said = self._said_seed()
        if seed is True:
            self.drawn_seed = seed = seeds.drawn(later_process())
            print(f"Seed: {seed}, drawn at random. Repeat with --seed {seed}")
        seeds.check(said, seed)
        seed = seed or 0
        # The run's config.yaml repeats it by the one name that plain anomalib knows too.
        del self.options["seed"]
        self.options["seed_everything"] = seed
        for part in ("model", "data"):
            place = f"{part}.init_args.seed"
            own = self.options.get(place, seed)
            if own == seed:
                continue
            if own is None or self.given.get(place) is None:
                self.options[place] = seed
            elif self.given.get("seed", self.given.get("seed_everything")) is not None:
                logger.warning("%s %s stands; %s %s is for the rest.", place, own, said, seed)
        seeds.set_run_seed(seed)
        seed_everything(seed, workers=True, verbose=False)

    def _said_seed(self) -> tuple[bool | int | None, str]:
        """The seed that the user names, and by which option.

        Raises:
            OptionError: if its two options contradict one another.
        """
        short, long = self.options["seed"], self.options["seed_everything"]
        option = self.typed.option("seed_everything" if short is None else "seed")[0]
        if short is None:
            return long or None, option
        if self.given.get("seed_everything") not in (None, False, short):
            raise wrong_value(option, short, f"--seed_everything {long} says another; name one of the two", ())
        return short or None, option

    def instantiate_classes(self) -> None:
        """Make the objects; what a constructor refuses is one line.

        Raises:
            OptionError: if one cannot be made.
        """
        made = option_blame.Blame()
        self.parser.add_instantiator(made, object)
        try:
            super().instantiate_classes()
        except Exception as error:
            said = option_blame.refused(made, self.given, self.typed)
            if said is None:
                raise
            raise said from error

    def instantiate_engine(self) -> None:
        """An engine that several processes can share."""
        self.engine = RunEngine(**self.engine_options(), tests=self.subcommand == "test")

    def run_subcommand(self) -> None:
        """Run the command; a resumed training is tested with the weights that it ended with.

        anomalib hands ``train --ckpt_path`` on to the test, which then loads the checkpoint that training started from.
        """
        if self.subcommand == "benchmark":
            return SeededBenchmark().run(self.config["benchmark"])
        checkpoint = self.options.get("ckpt_path")
        trainer = self.options.get("trainer") or {}
        preflight.check_start(self.subcommand, self.model, self.datamodule, checkpoint, trainer)
        try:
            if self.subcommand == "train" and checkpoint:
                self.engine.fit(self.model, datamodule=self.datamodule, ckpt_path=checkpoint)
                self.engine.trainer.test(self.model, datamodule=self.datamodule)
            else:
                super().run_subcommand()
        except TrainerRefusedError as error:
            raise self._refused_by_trainer(error.options, error.cause, made=False) from error
        except MisconfigurationException as error:  # lightning's word for a wrong option, wherever it finds it
            raise self._refused_by_trainer(dict(self.engine.trainer_options), error, made=True) from error
        self.engine.point_latest()
        return None

    def _refused_by_trainer(self, options: dict[str, Any], error: Exception, made: bool) -> Exception:
        """The error for a trainer's option; lightning's own where it is about none that was given."""
        given = list(vars(self.given.get("trainer") or Namespace()))
        name = (
            option_blame.named(options, given, error) if made else option_blame.culprit(Trainer, options, given, error)
        )
        if name is None or name not in given:
            return error
        text, names = option_blame.reason(error).rstrip(".!"), None
        if name == "accelerator":
            names = ["auto", *(k for k, v in AcceleratorRegistry.items() if v["accelerator"].is_available())]
            text += f"; allowed here: {', '.join(names)}"
        elif name == "strategy":
            names = ["auto", *StrategyRegistry.available_strategies()]
        return wrong_value(self.typed.option(f"trainer.{name}")[0], options[name], text, names)

    @property
    def last_checkpoint(self) -> Path | None:
        """The last whole checkpoint that training can go on from."""
        last = self.engine.saving.last if hasattr(self, "engine") else None
        given = self.options.get("ckpt_path")
        return last if last is not None and last.is_file() else Path(given) if given else None


#: Errors that say in a sentence what is wrong with an option, the data or a checkpoint.
_SAID = (OptionError, DataError, TableError, RuleError, ImageError, BackboneError, PluginError)


def run(args: Sequence[str]) -> int:
    """Run one of anomalib's commands; returns the exit status.

    0 done; 1 failed, or the test is done and something that follows it failed, with the traceback in a file; 2 a wrong
    option, data that cannot be used, or a place that cannot be written to: one line says which; 130 or 143 ended by
    SIGINT or SIGTERM, with the line that resumes a training.
    """
    line: CommandLine | None = None
    with seeds.own_run(), stop_on_signals() as stop:
        try:
            register()
            preflight.check_words(args[0], args[1:])
            line = CommandLine(with_addresses(args), run=False)
            line.run_subcommand()
            trainer = line.engine.made_trainer if hasattr(line, "engine") else None
            failed = failures_of(getattr(trainer, "callbacks", ()))
        except (Stopped, SystemExit):  # lightning ends the program after a signal
            if stop.signum is None:
                raise
            return _stopped(stop.signum, args, line)
        except Exception as error:
            return _failed(error, line)
    return FAILED if failed else 0


def _stopped(signum: int, args: Sequence[str], line: CommandLine | None) -> int:
    if not later_process():
        checkpoint = None if line is None else line.last_checkpoint
        print(stopped(signum, args, checkpoint, None if line is None else line.drawn_seed), file=sys.stderr)
    return 128 + signum


def _failed(error: Exception, line: CommandLine | None) -> int:
    engine: RunEngine | None = getattr(line, "engine", None)
    folder = engine.folder if engine is not None else None
    if isinstance(error, BenchmarkError):
        return fail(error, FAILED)
    if not isinstance(error, _SAID) and not refused(error):
        return unexpected(error, folder)
    if engine is not None:
        engine.discard()
    if isinstance(error, PluginFailedError):
        return fail_traced(error)
    if isinstance(error, _SAID):
        return fail(error)
    place = Path(error.filename or folder or ".")
    ours = folder is not None and place.is_relative_to(folder)
    remedy = "Name another place with --default_root_dir." if ours else "Make room there, or name another place."
    return fail(cannot_write(place, error, remedy))
