"""``medanomaly verify``: check that a bundle is whole and gives the scores here that it gave at the export."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from medanomaly.commands.common import one_line_errors
from medanomaly.commands.device_option import check_device

_MARKS = {True: "good", False: "DIFFERS", None: "not known"}


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "verify",
        help="check that a bundle is whole and scores here as at the export; needs no torch",
        description="Check a bundle's files, graph, layout and self-test; with IMAGES, score those of its parity "
        "record again and compare with torch's raw scores.",
        epilog="Exit status: 0 good; 1 something differs; 2 it is no bundle or of a newer version, or no image of the "
        "record is among IMAGES. More: docs/edge.md.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder written by `medanomaly export`")
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGES",
        help="files, folders or quoted patterns; recorded images are found among them by their content",
    )
    parser.add_argument("--device", default="CPU", help="OpenVINO device (default: CPU)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


@one_line_errors()
def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from medanomaly.edge.batch.verify_bundle import verify

    check_device(args.device)
    report = verify(args.bundle, args.images, args.device)
    if args.json:
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        export, here = report.versions["export"], report.versions["here"]
        print(f"exported with  medanomaly {export['medanomaly']}, OpenVINO {export['openvino']}")
        print(f"run with       medanomaly {here['medanomaly']}, OpenVINO {here['openvino']}")
        for check in report.checks:
            print(f"{check.name:<15}{_MARKS[check.good]}: {check.text}")
    return 0 if report.good else 1
