"""Check the host and set security headers on every answer, static pages included."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def inline_hashes(page: str) -> list[str]:
    """The hashes by which a policy allows the inline scripts of a page, such as Streamlit's own."""
    return [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE.findall(page)
    ]


def policy(host: str, hashes: Iterable[str]) -> str:
    """The Content-Security-Policy of the page: nothing of another host, no frame, within or around.

    Inline styles and ``blob:`` are what Streamlit's components are made of; an older Safari does not count the
    websocket as ``'self'``, so it is named.
    """
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "blob:", *hashes]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' blob: data: ws://{host} wss://{host}",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "frame-src": "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def streamlit_page() -> str:
    """The page that Streamlit serves, as it is installed."""
    from streamlit import file_util

    return (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")


class Guard:
    """ASGI middleware: refuses hosts that are not ours, and sets the headers of every answer.

    Args:
        app: What comes after.
        hosts: Names without port by which the page may be reached; None for any, where others are let in.
        hashes: Of the inline scripts that may run.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None, hashes: Iterable[str]) -> None:
        self._app, self._hashes = app, list(hashes)
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        host = given[0] if len(given) == 1 else ""
        if not self._ours(host):
            await self._refuse(scope, receive, send)
            return
        headers = [
            (b"content-security-policy", policy(host, self._hashes).encode("latin-1")),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        names = {name for name, _ in headers}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
                message = {**message, "headers": [*kept, *headers]}
            await send(message)

        await self._app(scope, receive, guarded)

    def _ours(self, host: str) -> bool:
        # What is put into a header must not be able to end a rule of it.
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?", host)
        return match is not None and (self._hosts is None or match[1].lower() in self._hosts)

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: status 403
            return
        await PlainTextResponse("This name is not the page's. Open it by 127.0.0.1.", 403)(scope, receive, send)
