"""``medanomaly plugins``: list what is installed, and check whether it can be used."""

from __future__ import annotations

import argparse
import json
import sys


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("plugins", help="list the installed plugins", description="Installed plugins.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="name, kind, distribution and one line each",
        description="List the installed plugins. Nothing is imported without --check.",
        epilog="Exit status: 0 all is well; 1 two plugins claim one name, or with --check one cannot be used.",
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.add_argument("--check", action="store_true", help="import each plugin too (slow: loads torch)")
    listing.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the list; returns the exit status."""
    from medanomaly.registry import GROUPS, PluginError, conflicts, plugins

    rows, failed = [], 0
    for kind in GROUPS:
        for same in plugins(kind).values():
            for plugin in same:
                row = {
                    "name": plugin.name,
                    "kind": kind,
                    "distribution": f"{plugin.distribution} {plugin.version}".strip(),
                    "class_path": plugin.address,
                    "summary": plugin.summary,
                }
                if args.check:
                    try:
                        plugin.load()
                    except PluginError as error:
                        failed, row["error"] = failed + 1, str(error)
                rows.append(row)
    clashes = conflicts()
    if args.json:
        print(json.dumps({"plugins": rows, "conflicts": clashes}, indent=2, ensure_ascii=False))
    else:
        _show(rows)
    for clash in clashes:
        print(f"medanomaly: {clash}", file=sys.stderr)
    return 1 if clashes or failed else 0


def _show(rows: list[dict[str, str]]) -> None:
    widths = {key: max([len(row[key]) for row in rows] + [len(key)]) for key in ("name", "kind", "distribution")}
    head = {"name": "name", "kind": "kind", "distribution": "distribution", "summary": "what it is"}
    for row in [head, *rows]:
        print("  ".join(row[key].ljust(width) for key, width in widths.items()) + "  " + row["summary"])
        if "error" in row:
            print(f"    BROKEN: {row['error']}")
