"""The addresses of the reading part and what answers each. All want the session's secret."""

from __future__ import annotations

import asyncio
import functools
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from medanomaly.app.endpoints.asking import Asking, Refused, answered, comparable, later
from medanomaly.app.endpoints.image_answer import facts, marks_of
from medanomaly.app.endpoints.picture_endpoint import picture
from medanomaly.app.endpoints.worklist_answer import listing
from medanomaly.app.session.marking import Asked, MarkError
from medanomaly.app.viewer.dicom_header import header
from medanomaly.imaging import ImageError
from medanomaly.metrics import formatting

_STATIC = Path(__file__).parents[1] / "static"
_CODE = frozenset(path.name for path in _STATIC.glob("*.js"))
#: Bytes of a request for marks: a segment of some ten thousand frames fits.
_LARGEST = 4 * 2**20


def _told(serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    @functools.wraps(serve)
    async def told(request: Request) -> Response:
        try:
            return await serve(request)
        except Refused as refused:
            return answered({"error": str(refused)}, refused.status)

    return told


async def _list(request: Request) -> Response:
    asking, query = Asking.of(request), request.query_params
    try:
        page = int(query.get("page", "0"))
    except ValueError:
        raise Refused(400, "page must be a number.") from None
    found = await asyncio.to_thread(
        listing, asking.session, asking.bundle, asking.loaded, asking.point, asking.reader, query.get("which", ""),
        page, query.get("have", ""),
    )  # fmt: skip
    return answered(found)


async def _image(request: Request) -> Response:
    asking = Asking.of(request)
    item = asking.item(request.path_params["number"])
    point = float(asking.point.decider.threshold)
    found = await asking.made(
        (item.address, "facts", asking.loaded.hash, point, asking.reader, asking.session.sessions.marking.version),
        item,
        lambda: facts(asking.session, asking.bundle, asking.loaded, asking.point, asking.reader, item),
    )
    return later() if found is None else answered(found)


async def _header(request: Request) -> Response:
    asking = Asking.of(request)
    item = asking.item(request.path_params["number"])
    if item.file.kind.name != "DICOM":
        raise Refused(404, f"{item.name} has no header.")
    try:
        found = await asyncio.to_thread(header, item.file.path, request.query_params.get("personal") == "1")
    except ImageError as error:
        raise Refused(422, f"{item.name}: {error}") from error
    return answered({"number": item.number, "header": list(found.items())})


async def _compare(request: Request) -> Response:
    asking = Asking.of(request)
    item = asking.item(request.path_params["number"])
    sessions = asking.session.sessions

    def make() -> list[dict[str, Any]]:
        return [
            _compared(sessions.views.view(loaded, item).result, loaded, i) for i, loaded in enumerate(sessions.bundles)
        ]

    found = await asking.made((item.address, "compare"), item, make)
    return later() if found is None else answered({"number": item.number, "bundles": found})


def _compared(result: Any, loaded: Any, bundle: int) -> dict[str, Any]:
    p_value = loaded.p_value(result.raw_score)
    said = "" if p_value is None else f", p-value {formatting.chance(p_value)}"
    return {
        "bundle": bundle,
        "name": loaded.name,
        "said": f"{result.decision}, score {result.score:.3f}{said}",
        "raw": f"Raw score {formatting.raw(result.raw_score)}, each at its own validated point.",
    }


async def _mark(request: Request) -> Response:
    """Keep marks: ``{"marks": [{"number", "sha256", "mark", "note", "threshold"}, …]}``; what is left out stays.

    The operating point is the one that was on the screen, as for every request, or that of ``threshold``, for a mark
    that is put back. Number and digest name the image twice: where they disagree nothing is kept.
    """
    asking = Asking.of(request)
    if asking.reader is None:
        raise Refused(409, "not saved: say who reads first")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST:
                raise Refused(413, "not saved: too many marks at once")
        wanted = [_asked(asking, one) for one in json.loads(bytes(body))["marks"]]
    except (ValueError, KeyError, TypeError, RecursionError, ClientDisconnect):
        raise Refused(400, "not saved: the request is damaged") from None
    marking = asking.session.sessions.marking
    try:
        before = await asyncio.to_thread(marking.put, asking.loaded, asking.point, asking.reader, wanted)
    except MarkError as error:
        raise Refused(409, f"not saved: {error}") from error
    except (sqlite3.Error, OSError) as error:
        raise Refused(503, f"not saved: {error}") from error
    marks, _ = await asyncio.to_thread(marking.of_bundle, asking.loaded.hash)
    now = [{"number": one.item.number, **marks_of(marks, one.item, asking.reader)} for one in wanted]
    return answered({"said": "saved", "before": before, "now": now})


def _asked(asking: Asking, one: dict[str, Any]) -> Asked:
    number, digest = one["number"], one["sha256"]
    if not _is_number(number, int):
        raise TypeError
    item = asking.item(number)
    if item.file.sha256 != digest:
        raise Refused(409, f"not saved: {item.name} is another image than the one that was shown")
    threshold = one.get("threshold")
    if threshold is not None and not (_is_number(threshold, int | float) and comparable(threshold)):
        raise TypeError
    return Asked(item, one.get("mark", ...), one.get("note", ...), threshold)


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)  # to Python, true is 1


async def _code(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _CODE:
        return Response(status_code=404)
    # Asked for again at each load: after an update no old part is used beside a new one.
    return FileResponse(_STATIC / name, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


ROUTES = [
    Route("/read/list", _told(_list)),
    Route("/read/image/{number}", _told(_image)),
    Route("/read/picture/{number}/{layer}", _told(picture)),
    Route("/read/header/{number}", _told(_header)),
    Route("/read/compare/{number}", _told(_compare)),
    Route("/read/mark", _told(_mark), methods=["POST"]),
    Route("/read/code/{name}", _code),
]
