"""The command ``medanomaly``: its own commands, and anomalib's with every plugin loaded.

Only what a command needs is imported: ``--help``, ``plugins list`` and ``infer`` load neither torch nor anomalib.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from medanomaly import __version__
from medanomaly.commands import (
    anomalib_commands,
    app,
    compare,
    data,
    decide,
    demo,
    export,
    infer,
    plugins,
    report,
    speed,
    verify,
)
from medanomaly.commands.anomalib_commands import PASSED_ON
from medanomaly.commands.parser import Parser
from medanomaly.failures import cannot_write, fail, refused, unexpected
from medanomaly.options import OptionError, nearest
from medanomaly.streams import Streams

#: In the order of ``--help``.
COMMANDS = (plugins, data, infer, app, export, verify, speed, demo, compare, decide, report, anomalib_commands)
#: Commands that were renamed, by their old word, which works for one release.
OLD_COMMANDS = {"bench": "speed"}


def build_parser() -> Parser:
    """The parser of our own commands; of anomalib's it knows the names."""
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
    for command in COMMANDS:
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
    if args and args[0] in OLD_COMMANDS:
        old, args[0] = args[0], OLD_COMMANDS[args[0]]
        print(
            f"medanomaly: the command '{old}' is now '{args[0]}'. The old word works in this release only.",
            file=sys.stderr,
        )
    if args and args[0] in PASSED_ON:
        return anomalib_commands.run(args)
    parser = build_parser()
    if args and args[0].startswith("--") and args[0] not in parser._option_string_actions:
        close = nearest(args[0], parser._option_string_actions)
        parser.error(f"no option '{args[0]}'" + (f"; did you mean '{close}'?" if close else "."))
    if args and not args[0].startswith("-") and args[0] not in parser.commands:
        close = nearest(args[0], parser.commands)
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


if __name__ == "__main__":
    sys.exit(main())
