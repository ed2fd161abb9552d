"""Read a request: whose session, which bundle, which operating point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from medanomaly.app.operating_curve import Point
from medanomaly.app.server import sessions
from medanomaly.app.session.background_work import AHEAD, LOOKED_AT
from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.marking import reader_name
from medanomaly.app.session.sessions import Session
from medanomaly.app.session.worklist import Item
from medanomaly.errors import MedAnomalyError
from medanomaly.imaging import ImageError

#: Seconds after which an answer says that it is still being made, so that no request stands longer than two.
_PATIENCE = 1.2


class Refused(MedAnomalyError):  # noqa: N818
    """A request is answered with a status and a sentence."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass(frozen=True)
class Asking:
    """One request.

    Args:
        session: The session, by the secret in ``X-Session``.
        bundle: Number of the bundle.
        loaded: That bundle.
        point: The operating point that the page shows; ``threshold`` names it, without it is the bundle's own.
        reader: Who reads, by ``X-Reader``, percent-encoded; empty for no name, None before anyone has said who reads.
        urgency: Whether it is looked at, or read ahead.
    """

    session: Session
    bundle: int
    loaded: LoadedBundle
    point: Point
    reader: str | None
    urgency: int

    @classmethod
    def of(cls, request: Request) -> Asking:
        """Of a request.

        A page of another site can send no ``X-Session``: its browser asks first whether that header is welcome.

        Raises:
            Refused: if the session has ended, or the request makes no sense.
        """
        session = sessions().find(request.headers.get("x-session", ""))
        if session is None:
            raise Refused(403, "This session has ended. Load the page again.")
        query = request.query_params
        try:
            bundle = int(query.get("bundle", "0"))
            threshold = float(query["threshold"]) if "threshold" in query else None
        except ValueError:
            raise Refused(400, "bundle and threshold must be numbers.") from None
        if not 0 <= bundle < len(session.sessions.bundles) or not (threshold is None or comparable(threshold)):
            raise Refused(400, "There is no such bundle or operating point.")
        loaded = session.sessions.bundles[bundle]
        point = Point.at(loaded.detector.decider, threshold)
        given = request.headers.get("x-reader")
        reader = None if given is None else reader_name(unquote(given))
        return cls(session, bundle, loaded, point, reader, AHEAD if "ahead" in query else LOOKED_AT)

    def item(self, number: int | str) -> Item:
        """An image of the session by its number, or by the digits that an address has in its place.

        Raises:
            Refused: if there is none.
        """
        items = self.session.worklist(self.bundle).items
        try:
            number = int(number)  # of thousands of digits none is made
        except ValueError:
            number = -1
        if not 0 <= number < len(items):
            raise Refused(404, "There is no such image in this session.")
        return items[number]

    async def made(self, key: tuple, item: Item, make: Callable[[], Any], urgency: int | None = None) -> Any:
        """What ``make`` returns, made by the page's own threads; None if that takes longer, and is to be asked again.

        Raises:
            Refused: if the image cannot be read, or has no such part.
        """
        future = self.session.sessions.work.ask(key, make, self.urgency if urgency is None else urgency)
        made = asyncio.wrap_future(future)
        made.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        try:
            return await asyncio.wait_for(asyncio.shield(made), _PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            return None
        except ImageError as error:
            raise Refused(422, str(error).replace(str(item.file.path), item.name)) from error
        except KeyError:
            raise Refused(404, "This image has no such layer.") from None
        except (MemoryError, OSError, ValueError, RuntimeError) as error:
            raise Refused(422, f"{item.name}: cannot be shown ({type(error).__name__}).") from error


def comparable(threshold: float) -> bool:
    """Whether a threshold is finite as scores are compared with it, in 32 bits: 1e308 is not."""
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.float32(threshold)))
    except OverflowError:  # a whole number of hundreds of digits
        return False


def later() -> Response:
    """Still being made: ask again."""
    return JSONResponse({"wait": True}, 202, {"Cache-Control": "no-store"})


def answered(content: Any, status: int = 200) -> Response:
    """An answer in JSON, which no browser keeps on its disk."""
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
