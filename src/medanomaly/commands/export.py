"""``medanomaly export``: export a tested run as an OpenVINO bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from medanomaly.commands.common import one_line_errors, quiet_log, training_install
from medanomaly.options import real, whole


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
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
    parser.set_defaults(run=run)


@one_line_errors(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> int:
    """Export and say what was proved; returns the exit status."""
    quiet_log()
    with training_install():
        from medanomaly.export import export_run
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
