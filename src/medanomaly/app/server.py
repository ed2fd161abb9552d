"""``medanomaly app``: check everything that can be wrong, then start Streamlit's server."""

from __future__ import annotations

import errno
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from medanomaly import palette
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import Store
from medanomaly.app.session.sessions import Sessions
from medanomaly.app.session.uploads import Limits
from medanomaly.errors import MedAnomalyError
from medanomaly.signals import stop_on_signals

_LOCAL = ("127.0.0.1", "localhost", "::1")
#: Readable on white and on black, and no alarm in themselves.
_THEME = {"theme.light.primaryColor": palette.BLUE, "theme.dark.primaryColor": palette.SKY_BLUE}


class ServeError(MedAnomalyError, ValueError):
    """The page cannot be served. The message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the page is served.

    Args:
        address: Network address; only ``127.0.0.1`` is this machine's alone.
        port: TCP port.
        marks: Folder of marks and notes.
        every: Every Nth frame of a video is scored.
        threads: Threads of inference; None leaves the choice to OpenVINO.
        limits: What a session takes in at most.
        grace: Seconds that a session's images are kept for after its page was closed.
        temporary: Where they are kept; None for the system's folder.
    """

    address: str
    port: int
    marks: Path
    every: int = 1
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)
    grace: int = 120
    temporary: Path | None = None


_room: Sessions | None = None
_hosts: tuple[str, ...] | None = _LOCAL


def sessions() -> Sessions:
    """That of this process, for the page."""
    if _room is None:
        raise ServeError("This page is started by `medanomaly app BUNDLE`, which opens the bundle first.")
    return _room


def hosts() -> tuple[str, ...] | None:
    """Names by which the page may be asked for; None for any, where others are let in."""
    return _hosts


def serve(bundles: Sequence[Path], options: Options) -> None:
    """Serve the page until a signal; then everything that was uploaded is gone.

    Raises:
        BundleError, StoreError, ServeError: before the server starts.
    """
    global _room, _hosts  # the page is a script that Streamlit runs: nothing can be handed to it
    loaded = [LoadedBundle(path, options.threads) for path in bundles]
    store = Store(options.marks)
    _check_free(options.address, options.port)
    # A page of another site, whose name was made to point here, must not reach it.
    _hosts = (*_LOCAL, "[::1]") if options.address in _LOCAL else None
    try:
        _room = Sessions(loaded, store, options.limits, options.every, options.grace, options.temporary)
    except OSError as error:
        where = options.temporary or tempfile.gettempdir()
        raise ServeError(f"{where}: cannot hold the session's images ({error.strerror}).") from error
    try:
        # The server ends by a signal, and then sends it to itself again: by default that ends the process at once.
        with stop_on_signals():
            _streamlit(options)
    finally:
        _room.close()
        _room = None


def _check_free(address: str, port: int) -> None:
    if not 0 < port < 65536:
        raise ServeError(f"--port must lie in 1 to 65535, not {port}.")
    try:
        kind = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind[0], socket.SOCK_STREAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(kind[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"{address}:{port} is in use by another program, perhaps another triage page. Choose another --port, "
                "or end that program."
            ) from error
        raise ServeError(
            f"{address}:{port} cannot be served ({error.strerror or error}). Choose another --port or --address."
        ) from error


def flags(options: Options) -> list[tuple[str, str]]:
    """Streamlit's settings: no telemetry, no watching of files, this machine alone unless told, limits on uploads."""
    # A page of another site, whose name was made to point here, must not reach it.
    hosts = [("server.allowedHosts", host) for host in (*_LOCAL, "[::1]")] if options.address in _LOCAL else []
    settings = {
        "server.address": options.address,
        "server.port": str(options.port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        # Streamlit's own upload field, which the page does not use.
        "server.maxUploadSize": "1",
        "server.disconnectedSessionTTL": str(options.grace),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "client.showErrorLinks": "false",
        # Streamlit would name hosts of its own whose pages may hold this one in a frame.
        "client.allowedOrigins": f"http://{options.address}:{options.port}",
        "logger.level": "error",
        "logger.hideWelcomeMessage": "true",
        **_THEME,
    }
    return [*settings.items(), *hosts]


def _streamlit(options: Options) -> None:
    from click.exceptions import Abort
    from streamlit.web import cli

    script = Path(__file__).parent / "script" / "triage_server.py"
    shown = f"[{options.address}]" if ":" in options.address else options.address
    print(f"Triage page: http://{shown}:{options.port}  (Ctrl-C ends it)\nMarks and notes: {options.marks}", flush=True)
    if options.address not in _LOCAL:
        print("Others on the network can reach it, and no password is asked for.", file=sys.stderr)
    arguments = ["run", str(script), *(f"--{key}={value}" for key, value in flags(options))]
    with suppress(Abort, KeyboardInterrupt):
        cli.main(arguments, standalone_mode=False)
