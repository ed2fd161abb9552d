"""``medanomaly app``: the triage page."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from pathlib import Path

from medanomaly.commands.common import one_line_errors
from medanomaly.failures import fail
from medanomaly.options import whole


def marks_folder() -> Path:
    """Where marks and notes are kept by default: ``$XDG_DATA_HOME/medanomaly``, or ``~/.local/share/medanomaly``."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "medanomaly"


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "app",
        help="the triage page: worklist, viewer, operating point, marks; needs no torch",
        description="Serve the triage page for one or several bundles: images in order of suspicion, heat maps, marks. "
        "Research use only, not a medical device.",
        epilog="Exit status: 0 ended by Ctrl-C or SIGTERM; 2 wrong bundle or option, or the address is in use. "
        "More: docs/app.md.",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="folder written by `medanomaly export`")
    parser.add_argument("--port", type=whole(0, 65535), default=8501, help="TCP port (default: 8501)")
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="network address; the default admits this machine alone, any other the network, without a password",
    )
    parser.add_argument(
        "--marks",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of marks and notes (default: $XDG_DATA_HOME/medanomaly or ~/.local/share/medanomaly)",
    )
    parser.add_argument(
        "--every", type=whole(1), default=1, metavar="N", help="of a video, every Nth frame (default: 1)"
    )
    parser.add_argument(
        "--threads", type=whole(1), default=None, metavar="N", help="threads of inference (default: all)"
    )
    parser.add_argument("--max-files", type=whole(1), default=5000, help="files of a session (default: 5000)")
    parser.add_argument("--max-file-mib", type=whole(1), default=500, help="MiB of a file (default: 500)")
    parser.add_argument("--max-session-mib", type=whole(1), default=4096, help="MiB of a session (default: 4096)")
    parser.add_argument(
        "--temporary",
        type=Path,
        default=None,
        metavar="DIR",
        help="where uploaded images lie until their session ends (default: the system's folder)",
    )
    parser.add_argument(
        "--keep",
        type=whole(1),
        default=120,
        metavar="SECONDS",
        help="how long they are kept after their page was closed, so that it can be loaded again (default: 120)",
    )
    parser.set_defaults(run=run)


@one_line_errors(ValueError)
def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if find_spec("streamlit") is None:
        return fail("the page needs Streamlit. pip install 'medanomaly[app]'")
    from medanomaly.app.server import Options, serve
    from medanomaly.app.session.uploads import MIB, Limits

    options = Options(
        address=args.address,
        port=args.port,
        marks=args.marks or marks_folder(),
        every=args.every,
        threads=args.threads,
        limits=Limits(
            files=args.max_files,
            file_bytes=args.max_file_mib * MIB,
            total_bytes=args.max_session_mib * MIB,
        ),
        grace=args.keep,
        temporary=args.temporary,
    )
    serve(args.bundles, options)
    return 0
