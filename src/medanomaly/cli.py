"""The command ``medanomaly``: its own commands, and anomalib's with every plugin loaded.

Only what a command needs is imported: ``--help``, ``plugins list`` and ``infer`` load neither torch nor anomalib.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from medanomaly import __version__
from medanomaly.commands import app, compare, decide, infer, plugins, report, speed, verify
from medanomaly.commands.parser import Parser
from medanomaly.failures import cannot_write, fail, fail_traced, refused, unexpected
from medanomaly.options import OptionError, nearest, real, whole
from medanomaly.streams import Streams, watched

#: anomalib's commands that are passed on, with what they do here.
PASSED_ON = {
    "train": "train on normal images, then test: figures, predictions and report",
    "test": "test a checkpoint",
    "fit": "train only",
    "validate": "validate a checkpoint; chooses the operating point anew",
    "predict": "score images with a checkpoint, in torch",
    "benchmark": "anomalib's benchmark pipeline",
}


def _add_data(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("data", help="check a data set before training on it", description="Data sets.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser(
        "check",
        help="counts, sizes, duplicates, leaks, and what one number an image tells",
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
    check.set_defaults(run=_data_check)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export",
        help="turn a tested run into an OpenVINO bundle",
        description="Turn a tested run into an OpenVINO bundle, and prove on real images that both agree.",
    )
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of a tested run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; replaced if it is a bundle")
    parser.add_argument(
        "--images", type=Path, default=None, help="images for the parity record (default: the run's data)"
    )
    parser.add_argument("--parity-images", type=whole(1), default=128, help="largest number of them (default: 128)")
    parser.add_argument(
        "--input",
        choices=("float32", "uint8", "uint16"),
        default="float32",
        help="what the graph takes, (1, H, W, 3); integers are refused where their rounding costs parity "
        "(default: float32)",
    )
    parser.add_argument("--onnx", action="store_true", help="also write model.onnx, for other runtimes")
    parser.add_argument(
        "--precision",
        choices=("f32", "bf16", "int8"),
        default="f32",
        help="f32 (default); bf16 and int8 are measured against it on validation images, and refused if they cost more "
        "than --accuracy-drop",
    )
    parser.add_argument(
        "--accuracy-drop",
        type=real(0.0, 1.0),
        default=0.005,
        metavar="DROP",
        help="how far the AUROC on validation may move from that of f32, and the rank correlation with f32 be below 1 "
        "(default: 0.005); without abnormal validation images, which share of decisions may differ",
    )
    parser.set_defaults(run=_export)


def _add_demo(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "demo",
        help="train, test, export and infer on drawn frames; minutes on two cores",
        description="The whole path on drawn frames: train, test, export, infer. Needs no download.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/demo"), help="folder for everything (default: results/demo)"
    )
    parser.set_defaults(run=_demo)


def build_parser() -> argparse.ArgumentParser:
    """The parser of our own commands; anomalib's appear in its help."""
    passed_on = "\n".join(f"  {name:<12}{text}" for name, text in PASSED_ON.items())
    parser = Parser(
        prog="medanomaly",
        description="Anomaly detection for medical images, on anomalib.",
        epilog=f"anomalib's commands, with every plugin loaded (medanomaly COMMAND --help):\n{passed_on}\n\n"
        "Examples:\n"
        "  medanomaly demo\n"
        "  medanomaly train --config configs/ae_wce.yaml --data.init_args.root DIR\n"
        "  medanomaly train --model Autoencoder --data Phantom\n"
        "  medanomaly export --run results/Autoencoder/Phantom/latest --out bundle\n"
        "  medanomaly infer bundle images/ --out scored\n"
        "  medanomaly app bundle\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medanomaly {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (plugins.add, _add_data, infer.add, app.add, _add_export, verify.add, speed.add, _add_demo):
        add(commands)
    for command in (compare, decide, report):
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0 done; 1 something failed or fell short, and is named; 2 a wrong option, bundle, input or place to write to; 130,
    143 ended by SIGINT, by SIGTERM; 141 done, but the reader of standard output went before its end.
    """
    streams = Streams()
    try:
        return streams.status(_run(list(sys.argv[1:] if argv is None else argv)))
    except SystemExit as end:  # of --help, or of a wrong option
        if isinstance(end.code, int | None):
            end.code = streams.status(end.code or 0)
        raise
    finally:
        if argv is not None:  # else the program ends, and whatever still prints shall be safe too
            streams.restore()


def _run(args: list[str]) -> int:
    if args and args[0] in PASSED_ON:
        return _anomalib(args)
    parser = build_parser()
    if args and args[0].startswith("--") and args[0] not in parser._option_string_actions:
        close = nearest(args[0], parser._option_string_actions)
        parser.error(f"no option '{args[0]}'" + (f"; did you mean '{close}'?" if close else "."))
    if args and not args[0].startswith("-"):
        known = ["plugins", "data", "infer", "app", "export", "verify", "bench", "demo", "compare", "decide", "report"]
        known += PASSED_ON
        if args[0] not in known:
            close = nearest(args[0], known)
            parser.error(f"no command '{args[0]}'" + (f"; did you mean '{close}'?" if close else "."))
    try:
        namespace = parser.parse_args(args)
        return namespace.run(namespace)
    except OptionError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        if refused(error):
            return fail(cannot_write(error.filename, error, "Make room there, or name another place."))
        return unexpected(error)


def _quiet(stderr: bool = False) -> None:
    """One log handler, with our own news and everybody's warnings; anomalib sets up two and prints each line twice.

    Args:
        stderr: Log there, where the output is a document of its own.
    """
    from rich.console import Console
    from rich.logging import RichHandler

    warnings.filterwarnings("ignore", category=FutureWarning)
    handler = RichHandler(console=Console(stderr=stderr), show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("medanomaly").setLevel(logging.INFO)


def _needs_training(error: ImportError) -> int:
    return fail(f"this command needs the training install ({error}). pip install 'medanomaly[train]'")


def _anomalib(args: list[str]) -> int:
    _quiet()
    try:
        from medanomaly.training.command_line import run
    except ImportError as error:
        return _needs_training(error)
    return run(args)


def _data_check(args: argparse.Namespace) -> int:
    _quiet(stderr=True)
    try:
        from rich.console import Console

        from medanomaly.data.check_data import check, show, written
        from medanomaly.data.datamodule import PluginFailedError
        from medanomaly.training.load_data import load_data
    except ImportError as error:
        return _needs_training(error)
    try:
        report = check(load_data(args.config, args.root, args.seed), progress=watched())
    except PluginFailedError as error:
        return fail_traced(error)
    except (ValueError, FileNotFoundError) as error:
        return fail(error)
    if args.json:
        print(written(report))
    else:
        show(report, Console())
    return 0 if report.ok else 1


def _export(args: argparse.Namespace) -> int:
    _quiet()
    try:
        from medanomaly.export import ExportError, export_run
    except ImportError as error:
        return _needs_training(error)
    try:
        card = export_run(
            args.run_folder,
            args.out,
            images=args.images,
            limit=args.parity_images,
            input_type=args.input,
            onnx=args.onnx,
            precision=args.precision,
            drop=args.accuracy_drop,
        )
    except (ExportError, ValueError, FileNotFoundError) as error:
        return fail(error)
    parity = card["parity"]
    if "cost" in card:
        from medanomaly.export.precision import sentence

        print(sentence(card))
    print(
        f"Bundle: {args.out}\nParity with torch on {parity['images']} images: largest relative difference of raw "
        f"scores {parity['score_relative']:.2e}, decisions that differ {parity['flips']}"
    )
    tested, number = card["tested"], card["tested"]["images"]
    print(
        f"The tested run on {number['validation']} validation and {number['test']} test images, from their files: "
        f"largest relative difference {tested['score_relative']:.2e}, decisions that differ {tested['flips']}"
    )
    return 0


def _demo(args: argparse.Namespace) -> int:
    _quiet()
    try:
        from medanomaly.commands.demo_run import demo
    except ImportError as error:
        return _needs_training(error)
    return demo(args.out)


if __name__ == "__main__":
    sys.exit(main())
