"""``medanomaly speed``: measure speed and memory of a bundle on this machine, beside other engines."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from medanomaly.commands.common import one_line_errors
from medanomaly.options import one_of, whole
from medanomaly.speed import NAMES
from medanomaly.streams import watched

_COLUMNS = {
    "images_per_second": "images/s",
    "latency_p50": "latency p50",
    "latency_p99": "latency p99",
    "cold_start": "cold start",
    "cpu_seconds": "CPU/image",
    "peak_bytes": "memory",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "speed",
        help="measure a bundle's speed and memory here, beside other engines",
        description="Measure a bundle on this machine: cold start, latency, images a second, CPU time, memory; and "
        "beside it, each in a process of its own and in turns, the engines that are installed.",
        epilog="Exit status: 0 measured; 2 wrong bundle or option, or an image that cannot be scored. More: "
        "docs/edge.md.",
    )
    parser.add_argument("bundle", type=Path, help="folder written by `medanomaly export`")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image, folder or quoted pattern, as for infer")
    parser.add_argument("--repeat", type=whole(1), default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument(
        "--limit", type=whole(1), default=200, metavar="N", help="largest number of images (default: 200)"
    )
    parser.add_argument(
        "--against",
        nargs="*",
        type=one_of(*NAMES),
        default=None,
        metavar="NAME",
        help=f"engines to measure beside: {', '.join(NAMES)} (default: all that are installed; none after --against)",
    )
    parser.add_argument(
        "--anomalib",
        type=Path,
        default=None,
        metavar="DIR",
        help="anomalib's own export of the same network (holds weights/openvino, weights/torch). Without it its "
        "OpenVINO inferencer gets the bundle's graph, with a resize in front",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


@one_line_errors(ValueError)
def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    from medanomaly.speed.measure import measure

    def tell(text: str) -> None:
        if watched():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    try:
        record = measure(args.bundle, args.images, args.repeat, args.limit, args.against, args.anomalib, tell)
    finally:
        tell("")
    print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) if args.json else text(record))
    return 0


def text(record: dict[str, Any]) -> str:
    """A record in lines for people: ratios first."""
    ours, bound, machine = record["ours"], record["bound"], record["machine"]
    size, parts = "×".join(map(str, record["size"])), ours["cpu_parts"]
    lines = [
        f"{record['model'] or 'Bundle'}, {size} px, {record['precision']}: {record['images']} images, "
        f"{record['repeat']} rounds; {machine['cores']} cores, {machine['processor']}",
        "",
        "ours / theirs".ljust(24) + "".join(title.rjust(13) for title in _COLUMNS.values()),
    ]
    measured = {name: other for name, other in record["against"].items() if "missing" not in other}
    for name, other in measured.items():
        lines.append(name.ljust(24) + "".join(_ratio(other["ratios"][key]).rjust(13) for key in _COLUMNS))
    cpu = "".rjust(13 * 3) + _ratio(bound["cpu_ratio"]).rjust(13)
    lines.append("cores / (decode + infer)".ljust(24) + _ratio(bound["ratio"]).rjust(13) + cpu)
    app = bound.get("benchmark_app", {})
    if "ratio" in app:
        lines.append("benchmark_app + decode".ljust(24) + _ratio(app["ratio"]).rjust(13))
    lines += ["", "figures".ljust(24) + "".join(title.rjust(13) for title in _COLUMNS.values())]
    for name, figures in {"ours": ours, **{name: other["figures"] for name, other in measured.items()}}.items():
        lines.append(name.ljust(24) + "".join(cell.rjust(13) for cell in _cells(figures)))
    lines += [
        "",
        f"first start, nothing compiled yet   {ours['cold_start']['first']:.2f} s",
        "latency p50, p95, p99               "
        + ", ".join(f"{1000 * ours['latency'][name]:.2f}" for name in ("p50", "p95", "p99"))
        + " ms",
        "CPU alone: decode, infer, post      "
        + ", ".join(f"{1000 * parts[name]:.2f}" for name in ("decode", "infer", "post"))
        + " ms an image",
    ]
    missing = {name: other["missing"] for name, other in record["against"].items() if "missing" in other}
    if "missing" in app:
        missing["benchmark_app"] = app["missing"]
    return "\n".join(lines + [f"not measured: {name}: {why}" for name, why in missing.items()])


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _cells(figures: dict[str, Any]) -> list[str]:
    start, latency, peak = figures["cold_start"], figures["latency"], figures["peak_bytes"]
    return [
        f"{figures['images_per_second']:.1f}",
        f"{1000 * latency['p50']:.2f} ms",
        f"{1000 * latency['p99']:.2f} ms",
        f"{start['first'] if start['again'] is None else start['again']:.2f} s",
        f"{1000 * figures['cpu_seconds']:.2f} ms",
        "-" if peak is None else f"{peak / 2**20:.0f} MiB",
    ]
