"""The data module of a configuration file, for commands that look at data and train nothing."""

from __future__ import annotations

from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from medanomaly import seeds
from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.options import OptionError
from medanomaly.training import option_blame
from medanomaly.training.parse_errors import Typed, explain
from medanomaly.training.preflight import check_config


def load_data(config: Path, root: str | None = None, seed: int | None = None) -> MedicalDataModule:
    """The data module of a configuration, whose model and trainer are not looked at.

    Args:
        config: YAML with a section ``data``, as for training.
        root: Used instead of the configured ``root``.
        seed: As ``--seed`` of the training; of splits where the section names none.

    Raises:
        OptionError: if the file is missing, has no ``data`` section, or an option is wrong.
    """
    check_config("", config)
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    section = content.get("data")
    if isinstance(section, str):
        section = {"class_path": section}
    if not isinstance(section, dict):
        raise OptionError(f"{config}: has no section `data`, as for training.")
    if root:
        section["init_args"] = {**(section.get("init_args") or {}), "root": root}
    args = ["--config", str(config), *(["--root", root] if root else [])]
    parser, made = ArgumentParser(exit_on_error=False), option_blame.Blame()
    parser.add_subclass_arguments(MedicalDataModule, "data", required=True)
    parser.add_instantiator(made, object)
    if seed is None:
        said = content.get("seed", content.get("seed_everything"))
        seed = said if isinstance(said, int) else 0
    with seeds.own_run():
        seeds.set_run_seed(int(seed))
        try:
            return parser.instantiate_classes(parser.parse_object({"data": section})).data
        except ArgumentError as error:
            raise explain(str(error), parser, args) from error
        except Exception as error:
            wrong = option_blame.refused(made, {"data": section}, Typed(args))
            if wrong is None:
                raise
            raise wrong from error
