"""``medanomaly compare``: runs against one another on the images they share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from medanomaly.commands.common import one_line_errors, training_install


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "compare",
        help="compare tested runs on the images they share",
        description="Compare each pair of tested runs on the images in common: AUROC, its difference (DeLong, and "
        "bootstrap by group), and decisions (McNemar, exact).",
        epilog="Exit status: 0 compared; 2 a folder is no run, truths contradict, or too few images match.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder with predictions.csv; two or more")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


@one_line_errors()
def run(args: argparse.Namespace) -> int:
    """Compare and print; returns the exit status."""
    with training_install():
        from medanomaly.evidence.compare import compare
    pairs = compare(args.runs)
    if args.json:
        print(json.dumps({"pairs": pairs}, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n\n".join(text(pair) for pair in pairs))
        if len(pairs) > 1:
            print(f"\np values are of one comparison each, not corrected for {len(pairs)} pairs.")
    return 0


def text(pair: dict[str, Any]) -> str:
    """A pair's record in lines for people."""
    images, difference = pair["images"], pair["difference"]
    delong, bootstrap = difference["delong"], difference["bootstrap"]
    a, b = pair["auroc"]
    grouped = "" if pair["groups"] == images["common"] else f" in {pair['groups']} groups"
    lines = [
        f"1: {pair['first']}",
        f"2: {pair['second']}",
        f"images in common   {images['common']} (of {images['first']} and {images['second']}, matched by "
        f"{images['matched_by']}): {pair['normal']} normal, {pair['abnormal']} abnormal{grouped}",
        f"AUROC 1            {_figure(a['value'])}{_span(a)}",
        f"AUROC 2            {_figure(b['value'])}{_span(b)}",
        f"difference 1 - 2   {_figure(difference['value'], '+')}",
        f"  DeLong           {_span(delong, '+').strip(' ()') or 'undefined'}, p {_p(delong['p'])}",
        f"  bootstrap        {_span(bootstrap, '+').strip(' ()') or 'undefined'}, {bootstrap['draws']} draws"
        + (" by group" if grouped else ""),
        "decisions          right 1, right 2; 1 alone, 2 alone; p (McNemar, exact)",
    ]
    for name, row in pair["decisions"].items():
        right = f"{row['right'][0]}, {row['right'][1]} of {row['images']}; {row['first_alone']}, {row['second_alone']}"
        lines.append(f"  {name:<17}{right}; p {_p(row['p'])}")
    if grouped:
        lines.append(
            "McNemar's test takes images as independent; those of one group may not be, and its p is then too small."
        )
    return "\n".join(lines)


def _figure(value: float | None, sign: str = "") -> str:
    return "undefined" if value is None else f"{value:{sign}.3f}"


def _span(figure: dict[str, Any], sign: str = "") -> str:
    if figure["low"] is None or figure["high"] is None:
        return ""
    return f" (95 % interval {_figure(figure['low'], sign)} to {_figure(figure['high'], sign)})"


def _p(value: float | None) -> str:
    if value is None:
        return "undefined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
