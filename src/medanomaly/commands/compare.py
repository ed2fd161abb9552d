"""``medanomaly compare``: compare runs on the images they share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from medanomaly.commands.common import one_line_errors, training_install
from medanomaly.metrics import formatting


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
        f"AUROC 1            {_auroc(a)}",
        f"AUROC 2            {_auroc(b)}",
        f"difference 1 - 2   {_plain(formatting.signed(difference['value']))}",
        f"  DeLong           {_interval(delong)}" + ("" if "reason" in delong else f", p {_chance(delong['p'])}"),
        f"  bootstrap        {_interval(bootstrap)}"
        + ("" if "reason" in bootstrap else f", {bootstrap['draws']} draws{' by group' if grouped else ''}"),
        "decisions          right 1, right 2; 1 alone, 2 alone; p (McNemar, exact)",
    ]
    for name, row in pair["decisions"].items():
        right = f"{row['right'][0]}, {row['right'][1]} of {row['images']}; {row['first_alone']}, {row['second_alone']}"
        lines.append(f"  {name:<17}{right}; p {_chance(row['p'])}")
    lines.append("Intervals of AUROC are DeLong's here; a run's own report has those of its bootstrap.")
    if grouped:
        lines.append(
            "McNemar's test takes images as independent; those of one group may not be, and its p is then too small."
        )
    return "\n".join(lines)


def _plain(text: str) -> str:
    """With the minus and the blank of a keyboard, as a console and ``grep`` take them."""
    return text.replace("−", "-").replace(formatting.NBSP, " ")


def _auroc(figure: dict[str, Any]) -> str:
    found = formatting.with_span(figure, between=" to ", before=formatting.LEVEL)
    return f"{found}, {figure['interval']}" if figure["low"] is not None else found


def _interval(difference: dict[str, Any]) -> str:
    shown = _plain(formatting.span(difference, "signed", " to ", formatting.LEVEL))
    return shown or f"{formatting.UNDEFINED}: {difference['reason']}"


def _chance(p: float | None) -> str:
    return _plain(formatting.chance(p))
