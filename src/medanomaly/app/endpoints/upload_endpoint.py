"""Receive uploads straight into the session's folder, never whole in memory.

Streamlit's own upload field asks for an address for each file first and tells of none before all have come: of 500
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

    A page of another site can send neither: its browser asks first whether these headers are welcome.
    """
    session = sessions().find(request.headers.get("x-session", ""))
    if session is None:
        return PlainTextResponse("This session has ended. Load the page again.", 403)
    name = unquote(request.headers.get("x-name", ""))
    limits = sessions().limits
    if session.files.full:
        session.files.refuse(name, too_much(limits))
        return PlainTextResponse("too much", 413)
    path, size = session.files.place(), 0
    try:
        with path.open("wb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                session.files.hear()
                if size > limits.file_bytes:
                    session.files.refuse(name, too_large(limits))
                    path.unlink()
                    return PlainTextResponse("too large", 413)
                await asyncio.to_thread(file.write, chunk) if len(chunk) > 2**20 else file.write(chunk)
    except ClientDisconnect:
        path.unlink(missing_ok=True)
        return PlainTextResponse("broken off", 400)
    except OSError as error:
        path.unlink(missing_ok=True)
        return PlainTextResponse(f"cannot be kept ({error.strerror})", 507)
    session.files.add(name, path)
    return Response(status_code=204)
