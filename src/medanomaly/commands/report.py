"""``medanomaly report``: the report of a tested run made again, or several runs side by side."""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path
from urllib.parse import quote

from medanomaly.commands.common import one_line_errors, training_install
from medanomaly.errors import MedAnomalyError
from medanomaly.evidence.run_layout import REPORT
from medanomaly.failures import cannot_write, fail
from medanomaly.files import write_whole

SIDE_BY_SIDE = Path("side_by_side.html")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        help="make a run's report again, or put several runs side by side",
        description="One run: its report.html again, from its evidence; pictures are drawn anew from its images where "
        "these are still there. Several runs: one page with figures, paired differences, caveats and ROC curves.",
        epilog="Figures are those of the test and are not computed again. Exit status: 0 written; 2 a folder is no "
        "tested run, or the file cannot be written or is something else.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a tested run")
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        metavar="FILE",
        help=f"file to write; one that is there must be such a report (default: RUN/{REPORT}; for several runs "
        f"{SIDE_BY_SIDE})",
    )
    parser.set_defaults(run=run)


@one_line_errors(ValueError)
def run(args: argparse.Namespace) -> int:
    """Build and write the page; returns the exit status."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    single = len(args.runs) == 1
    if single:
        with training_install():
            from medanomaly.runs.rebuild_report import rebuild
    out: Path = args.out or (args.runs[0] / REPORT if single else SIDE_BY_SIDE)
    if out.is_dir():
        return fail(f"{out}: cannot be written (it is a folder). Name a file with --out, such as {out / REPORT}.")
    try:
        # The run's own report is what the command is for; another file may be the only one of its kind.
        if not (single and args.out is None) and os.path.lexists(out) and not _is_page(out):
            return fail(f"{out}: is there already, and is no report of medanomaly. Name another file with --out.")
        page, notes = rebuild(args.runs[0]) if single else (side_by_side(args.runs, out), [])
        write_whole(out, page.encode("utf-8", "backslashreplace"))
    except MedAnomalyError:  # some are OSErrors too
        raise
    except OSError as error:
        return fail(cannot_write(out, error, "Name another place with --out."))
    for note in notes:
        print(note)
    print(f"Report: {out}")
    return 0


def _is_page(out: Path) -> bool:
    with training_install():
        from medanomaly.report.known_page import is_page
    return is_page(out)


def side_by_side(folders: list[Path], out: Path) -> str:
    """The page of several runs, to be written to ``out``: links to their own reports are relative to it.

    Raises:
        MissingInstallError: if the training install is not there.
        RunError: if a folder holds no tested run.
        ValueError: for more runs than a page takes.
    """
    with training_install():
        from medanomaly.report.side_by_side import Side, render
        from medanomaly.runs.tested_run import TestedRun

    sides = []
    for folder in folders:
        run, own = TestedRun.load(folder), folder / REPORT
        link = quote(Path(os.path.relpath(own, out.parent)).as_posix()) if own.is_file() else None
        sides.append(Side(folder, run.evidence, run.scores, run.abnormal, link))
    return render(sides)
