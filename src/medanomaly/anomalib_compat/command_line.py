"""anomalib's command line, with public methods for what ours overrides."""

from __future__ import annotations

from typing import Any

from anomalib.callbacks import get_callbacks
from anomalib.cli import AnomalibCLI
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import SaveConfigCallback


class HookedCommandLine(AnomalibCLI):
    """anomalib's command line; subclasses say which seed options there are, and which engine runs."""

    @staticmethod
    def add_seed_arguments(parser: ArgumentParser) -> None:
        """Add ``--seed_everything``."""
        AnomalibCLI._add_default_arguments_to_parser(parser)

    def run_subcommand(self) -> None:
        """Run the command."""
        super()._run_subcommand()

    def engine_options(self) -> dict[str, Any]:
        """The engine's arguments, as anomalib's ``instantiate_engine`` gathers them.

        Callbacks are the user's, the one that saves the configuration into the run's folder, and anomalib's.
        """
        config = self.config[self.subcommand]
        options = {**self.config_init[self.subcommand]["trainer"]}
        given = options["callbacks"]
        callbacks = list(given) if isinstance(given, list) else [] if given is None else [given]
        if not options.get("fast_dev_run"):
            parser: Any = self.subcommand_parsers[self.subcommand]
            callbacks.append(SaveConfigCallback(parser, config, overwrite=True))
        return {**options, "callbacks": [*callbacks, *get_callbacks(config)]}

    @classmethod
    def _add_default_arguments_to_parser(cls, parser: ArgumentParser) -> None:
        cls.add_seed_arguments(parser)

    def _run_subcommand(self) -> None:
        self.run_subcommand()
