"""``medanomaly infer``: score files, folders, lists, videos and arriving files with a bundle."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from medanomaly.commands.device_option import check_device
from medanomaly.failures import cannot_write, fail, saying
from medanomaly.options import OptionError, real, whole


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "infer",
        help="score images with an exported bundle; needs no torch",
        description="Score images with a bundle. Every input gets one line in OUT/results.jsonl, failures included.",
        epilog="Exit status: 0 all scored; 1 some failed (their records say why); 2 wrong bundle or option, or OUT "
        "cannot be written, is another process's or holds what is not ours; 130 or 143 ended by SIGINT or SIGTERM, "
        "with all records whole. More: docs/edge.md.",
    )
    parser.add_argument("bundle", type=Path, help="folder written by `medanomaly export`")
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="image, DICOM or video; folder searched for them; quoted pattern such as 'study/**/*.png'; or - for a "
        "list on standard input, one path a line",
    )
    parser.add_argument("--out", type=_folder, required=True, help="folder for results.jsonl and pictures")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on after the records in OUT, as after a kill (default: replace them and their pictures)",
    )
    for name, what, default in (
        ("overlays", "heat maps over the image", "flagged"),
        ("masks", "masks at the original size", "none"),
        ("maps", "heat maps of 16 bit at the original size", "none"),
    ):
        parser.add_argument(
            f"--{name}",
            choices=("flagged", "all", "none"),
            default=default,
            help=f"{what} to write (default: {default})",
        )
    parser.add_argument(
        "--every", type=whole(1), default=1, metavar="N", help="of a video, every Nth frame (default: 1)"
    )
    parser.add_argument(
        "--watch", type=Path, default=None, metavar="DIR", help="then score files as they arrive in DIR, until a signal"
    )
    parser.add_argument(
        "--settle",
        type=real(0.0),
        default=2.0,
        metavar="SECONDS",
        help="a file in DIR is complete when it has not changed for so long (default: 2)",
    )
    parser.add_argument("--device", default="CPU", help="OpenVINO device (default: CPU)")
    parser.add_argument(
        "--hint",
        choices=("latency", "throughput"),
        default=None,
        help="each image soon, or many side by side (default: throughput; latency with --watch)",
    )
    parser.add_argument(
        "--threads", type=whole(1), default=None, metavar="N", help="threads of inference (default: all)"
    )
    parser.add_argument("--no-cache", action="store_true", help="do not keep the compiled graph in ~/.cache/medanomaly")
    parser.add_argument(
        "--ray",
        default=None,
        metavar="ADDRESS",
        help="score on a Ray cluster: auto, local (started here), host:port or ray://host:port; needs medanomaly[ray]",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="call inputs by keyed hashes, not by paths, in records, pictures' names, timelines and messages",
    )
    parser.add_argument(
        "--anonymous-key",
        type=Path,
        default=None,
        metavar="FILE",
        help="the key of these hashes, made if missing; never pass it on with OUT (default: "
        "~/.local/share/medanomaly/anonymous.key)",
    )
    parser.set_defaults(run=run)


def _folder(text: str) -> Path:
    if not text.strip():  # an unset variable of a script, not the folder one stands in
        raise ValueError("must name a folder")
    return Path(text)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if not args.anonymous:
        return _run(args)
    from medanomaly.edge.batch import anonymous

    named = {"OUT": args.out, "BUNDLE": args.bundle, "DIR": args.watch, "KEY": args.anonymous_key}
    with saying(lambda message: anonymous.said(message, named)):
        try:
            return _run(args)
        except BrokenPipeError:
            raise
        except Exception as error:
            hidden = anonymous.crash(error)
            raise hidden from hidden.__cause__


def _run(args: argparse.Namespace) -> int:
    from medanomaly.edge.batch.infer_inputs import Options, infer
    from medanomaly.edge.batch.inputs import STDIN, listed
    from medanomaly.edge.batch.output_errors import OutputError
    from medanomaly.edge.batch.output_ownership import OutError
    from medanomaly.edge.batch.outputs import Pictures
    from medanomaly.edge.batch.records import ResumeError
    from medanomaly.edge.bundle import BundleError
    from medanomaly.edge.result import Failure
    from medanomaly.signals import Stopped, stop_on_signals

    if not args.inputs and args.watch is None:
        return fail("name an input, or a folder with --watch.")
    with stop_on_signals() as stop:
        try:
            if args.ray is None:  # the cluster's machines have devices of their own
                check_device(args.device)
            options = Options(
                Pictures(args.overlays, args.masks, args.maps),
                args.resume,
                args.every,
                args.watch,
                args.settle,
                args.device,
                args.hint,
                args.threads,
                cache=not args.no_cache,
                ray=args.ray,
                anonymous=args.anonymous,
                anonymous_key=args.anonymous_key,
            )
            inputs: list[str | Failure] = []
            for given in args.inputs:
                if given == STDIN:
                    nothing = Failure(STDIN, f"{STDIN}: the list on standard input names no file.")
                    inputs += listed(sys.stdin.buffer) or [nothing]
                else:
                    inputs.append(given)
            summary = infer(args.bundle, inputs, args.out, options, stop)
        except Stopped as stopped:
            print(f"Stopped by {signal.Signals(stopped.signum).name}.", file=sys.stderr)
            return 128 + stopped.signum
        except (BundleError, OptionError, OutError, ResumeError) as error:
            return fail(error)
        except ValueError as error:
            return fail(f"{str(error).rstrip('.')}.")
        except OutputError as error:
            return fail(cannot_write(error.filename, error, "Records written so far are intact."))
    print(summary.sentence())
    if summary.signum is not None:
        print(f"Stopped by {signal.Signals(summary.signum).name}. Go on with --resume.", file=sys.stderr)
        return 128 + summary.signum
    return 1 if summary.failed or summary.failed_before else 0
