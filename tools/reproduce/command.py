"""The command line that the driver and every system's script share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from tools.reproduce import page
from tools.reproduce.paths import Paths
from tools.reproduce.running import console, run_all
from tools.reproduce.system import System
from tools.reproduce.training import Training

#: The seed that the page shows; others are set beside it.
SHOWN_SEED = 0


def main(systems: Sequence[System], argv: Sequence[str] | None = None) -> int:
    """Train what is missing of some systems, then write the page of all; returns the exit status."""
    from tools.reproduce.systems import SYSTEMS

    names = ", ".join(system.name for system in systems)
    parser = argparse.ArgumentParser(
        description=f"Reproduce {names}: train what is missing, then write tables, plots and RESULTS.md.",
        epilog="Cells that are there are not run again, so that a stopped run goes on; one whose configuration, "
        "options or data have changed is. After a change of what is read from runs, use --fresh.",
    )
    parser.add_argument("--quick", action="store_true", help="a few steps of each, below results/reproduce_quick")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of what is run; the page shows 0 (the default) with others beside it"
    )
    parser.add_argument("--rows", nargs="+", default=None, metavar="ROW", help="run these rows alone")
    parser.add_argument("--fresh", action="store_true", help="run finished cells anew")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each (default: 2)")
    parser.add_argument("--out", type=Path, default=None, help="another folder for cells, tables, plots and page")
    parser.add_argument("--write", action="store_true", help="train nothing, write from the cells that are there")
    args = parser.parse_args(argv)
    paths = Paths.of(args.quick, args.out)
    work = [(system.name, training) for system in systems for training in system.trainings]
    if args.rows:
        unknown = sorted(set(args.rows) - {training.name for _, training in work})
        if unknown:
            known = ", ".join(training.name for _, training in work)
            parser.error(f"no row {', '.join(unknown)} in {names}; rows: {known}")
        work = [(system, training) for system, training in work if training.name in args.rows]
    start = time.monotonic()
    try:
        failed = {} if args.write else run_all(_longest_first(work), paths, args.seed, args.fresh, args.jobs)
    except KeyboardInterrupt:
        console.print("Stopped. The next run goes on from the cells that are there.")
        return 130
    page.write(SYSTEMS, paths, SHOWN_SEED, failed)
    minutes = (time.monotonic() - start) / 60
    if args.quick:
        console.print("Made with --quick: a few training steps. No figure is a result.")
    console.print(f"{paths.page} written after {minutes:.1f} minutes; {len(failed)} trainings failed.")
    return 1 if failed else 0


def _longest_first(work: list[tuple[str, Training]]) -> list[tuple[str, Training]]:
    """Trainings in an order in which the last one does not run alone for long."""
    return sorted(work, key=lambda pair: -pair[1].minutes)
