"""``medanomaly demo``: run the whole path on drawn frames, with every figure in one file."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medanomaly.commands.common import one_line_errors, quiet_log, training_install
from medanomaly.failures import cannot_write
from medanomaly.metrics import formatting
from medanomaly.options import OptionError


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "demo",
        help="train, test, export and infer on drawn frames; minutes on two cores",
        description="The whole path on drawn frames: train, test, export, infer. Needs no download.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/demo"), help="folder for everything (default: results/demo)"
    )
    parser.set_defaults(run=run)


@one_line_errors()
def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    quiet_log()
    return demo(args.out)


def config(name: str) -> Path:
    """A configuration of the repository's ``configs/``, from a checkout or an installed wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here.parents[1] / "configs", here / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name}: no such configuration in {here.parents[1] / 'configs'}")


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 2)


def demo(out: Path) -> int:
    """Train, test, export and infer on the phantom; everything lands in ``out``. Returns the exit status.

    Raises:
        MissingInstallError: if the training install is not there.
        OptionError: if ``out`` cannot be made.
    """
    with training_install():
        from medanomaly.edge.batch.infer_inputs import infer
        from medanomaly.export import export_run
        from medanomaly.runs import TestedRun
        from medanomaly.training.command_line import run as anomalib_command
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(cannot_write(out, error, "Name another place with --out.")) from error
    seconds: dict[str, float] = {}
    with _timed(seconds, "train_and_test"):
        status = anomalib_command(
            [
                "train",
                f"--config={config('ae_phantom.yaml')}",
                f"--default_root_dir={out / 'runs'}",
                f"--data.init_args.root={out / 'frames'}",
            ]
        )
    if status:
        return status
    folder = (out / "runs" / "Autoencoder" / "Phantom" / "latest").resolve()
    with _timed(seconds, "export"):
        card = export_run(folder, out / "bundle")
    # The frames as a user would hand them over: files on disk, read by the edge alone.
    table = TestedRun.load(folder).datamodule().table
    frames = [Path(path) for path in table.loc[table["split"] == "test", "image_path"]]
    with _timed(seconds, "infer"):
        scored = infer(out / "bundle", frames, out / "scored")
    evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    summary = {
        "image_auroc": evidence["image"]["auroc"],
        "pixel_auroc": evidence["pixel"]["auroc"],
        "pixel_aupro": evidence["pixel"]["aupro"],
        "sensitivity": evidence["image"]["sensitivity"],
        "specificity": evidence["image"]["specificity"],
        "seconds": seconds,
        "edge_images_per_second": round(scored.scored / seconds["infer"], 1),
        "parity": card["parity"],
        "failed": scored.failed,
        "report": os.path.relpath(folder / "report.html", out),
        "versions": evidence["run"]["versions"],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(summary, out)
    return 1 if scored.failed else 0


def _say(summary: dict[str, Any], out: Path) -> None:
    def interval(name: str) -> str:
        return formatting.with_span(summary[name], between=" to ", before=formatting.LEVEL)

    seconds = summary["seconds"]
    print(
        f"\nDrawn frames, 150 normal and 150 bleeding in the test split:\n"
        f"  image AUROC   {interval('image_auroc')}\n"
        f"  pixel AUROC   {interval('pixel_auroc')}\n"
        f"  sensitivity   {interval('sensitivity')}\n"
        f"  specificity   {interval('specificity')}\n"
        f"  seconds       train and test {seconds['train_and_test']}, export {seconds['export']}, "
        f"infer {seconds['infer']}\n"
        f"  edge          {summary['edge_images_per_second']} images a second, files to heat maps\n"
        f"  torch against OpenVINO: largest relative difference {summary['parity']['score_relative']:.1e}, "
        f"{summary['parity']['flips']} decisions differ\n\n"
        f"Open the report: {(out / summary['report']).resolve()}\n"
        f"Bundle:          {out / 'bundle'}\n"
        f"Heat maps:       {out / 'scored' / 'overlays'}"
    )
