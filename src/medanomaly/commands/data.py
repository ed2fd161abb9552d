"""``medanomaly data check``: check whether a data set is fit for training."""

from __future__ import annotations

import argparse
from pathlib import Path

from medanomaly.commands.common import one_line_errors, quiet_log, training_install
from medanomaly.failures import fail_traced
from medanomaly.options import whole
from medanomaly.streams import watched


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("data", help="check a data set before training on it", description="Data sets.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="counts, sizes, duplicates, leaks, and how well single image statistics rank",
        description="Read every image of a configuration's data and report on it.",
        epilog="Exit status: 0 fit for use; 1 a leak between splits or unreadable images; 2 the table or an option is "
        "wrong.",
    )
    check.add_argument("config", type=Path, help="YAML with a section `data`, as for training")
    check.add_argument("--root", default=None, help="folder of the data, instead of the configured one")
    check.add_argument(
        "--seed",
        type=whole(0, 2**32 - 1),
        default=None,
        metavar="N",
        help="the training's --seed, where the configuration names no seed for its data (default: 0)",
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=run)


@one_line_errors(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> int:
    """Check and print; returns the exit status."""
    quiet_log(stderr=True)
    with training_install():
        from rich.console import Console

        from medanomaly.data.check_data import check, show, written
        from medanomaly.data.datamodule import PluginFailedError
        from medanomaly.training.load_data import load_data
    try:
        report = check(load_data(args.config, args.root, args.seed), progress=watched())
    except PluginFailedError as error:
        return fail_traced(error)
    if args.json:
        print(written(report))
    else:
        show(report, Console())
    return 0 if report.ok else 1
