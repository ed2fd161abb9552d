"""Receive uploads straight into the session's folder, never whole in memory.

Streamlit's own upload field asks for an address for each file first, and hands none over before all have come: of 500
frames the first was seen after seconds, and each lay in memory until the session's end.
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from medanomaly.app.server import sessions
from medanomaly.app.session.uploads import too_large, too_much

PATH = "/take"


async def receive(request: Request) -> Response:
    """Take one file in: ``X-Session`` names the session by its secret, ``X-Name`` the file, percent-encoded.

    A page of another site can send neither: its browser asks first whether these headers are welcome. Room is kept for
    what the file says of its size, and for what comes beyond that: however many are sent at once, none of them lies on
    the disk above the session's limit.
    """
    session = sessions().find(request.headers.get("x-session", ""))
    if session is None:
        return PlainTextResponse("This session has ended. Load the page again.", 403)
    name, files, limits = unquote(request.headers.get("x-name", "")), session.files, sessions().limits
    kept = _declared(request)
    if kept > limits.file_bytes:
        files.refuse(name, too_large(limits))
        return PlainTextResponse("too large", 413)
    if not files.reserve(kept):
        files.refuse(name, too_much(limits))
        return PlainTextResponse("too much", 413)
    path, size, taken = files.place(), 0, False
    try:
        with path.open("xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                files.hear()
                if size > limits.file_bytes:
                    files.refuse(name, too_large(limits))
                    return PlainTextResponse("too large", 413)
                if size > kept:
                    if not files.reserve(size - kept):
                        files.refuse(name, too_much(limits))
                        return PlainTextResponse("too much", 413)
                    kept = size
                await asyncio.to_thread(file.write, chunk) if len(chunk) > 2**20 else file.write(chunk)
        files.add(name, path, kept)
        taken = True
    except ClientDisconnect:
        return PlainTextResponse("broken off", 400)
    except OSError as error:
        return PlainTextResponse(f"cannot be kept ({error.strerror})", 507)
    finally:
        if not taken:
            files.release(kept)
            path.unlink(missing_ok=True)
    return Response(status_code=204)


def _declared(request: Request) -> int:
    """Bytes that a request says it has; 0 where it does not say."""
    try:
        return max(0, int(request.headers.get("content-length", "0")))
    except ValueError:
        return 0
