"""Serve pictures of images: the one address for all of them.

``GET /read/picture/NUMBER/LAYER?bundle=B&size=S`` with the header ``X-Session``. Layers:

================  ============================================================================================
``image``         as the file says, upright, at most ``size`` pixels a side, averaged by area; RGB
``values``        of grey images of more than 8 bits: their values as 16 bits each, before any window
``heat``          the heat map, RGB and opacity, to be laid over the whole image; at most 512 pixels a side
``input``         what the model saw, pixel by pixel
``reconstruction``  what a model that reconstructs made of it, pixel by pixel
``overlay``       what the model saw, with its heat map; ``by=B`` for another bundle than the one in use
``thumbnail``     at most 96 pixels a side
================  ============================================================================================

``size`` is 1600 unless given; 0 is the image's own size. ``image`` is PNG up to 2^17 pixels, pixel by pixel as
:func:`medanomaly.app.viewer.window_level.display` has it, and JPEG of quality 95 with full colour above. ``values``
come as :func:`medanomaly.app.viewer.picture_encoding.raw_values` says: little-endian; the header ``X-Picture`` says
what they mean.
``ahead=1`` lets others go first. Status 202 says that it is still being made: ask again. 403: no such session; 404: no
such image or layer; 422: it cannot be read, and ``error`` says why.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from medanomaly.app.endpoints.asking import Asking, Refused, later
from medanomaly.app.session.background_work import THUMBNAILS
from medanomaly.app.viewer.window_level import LARGEST

#: The largest size that may be asked for; 0, the image's own, is not bounded.
_MOST = 8192


async def picture(request: Request) -> Response:
    """Serve one layer of one image."""
    asking = Asking.of(request)
    item, layer = asking.item(request.path_params["number"]), request.path_params["layer"]
    try:
        size = min(_MOST, max(0, int(request.query_params.get("size", LARGEST))))
    except ValueError:
        raise Refused(400, "size must be a number of pixels.") from None
    if item.raw_score is None:
        raise Refused(404, f"{item.name} {item.error}")
    views, loaded = asking.session.sessions.views, asking.loaded
    if layer == "overlay":
        bundles = dict(enumerate(asking.session.sessions.bundles))
        try:
            loaded = bundles[int(request.query_params.get("by", asking.bundle))]
        except (ValueError, KeyError):
            raise Refused(400, "There is no such bundle.") from None
    found = await asking.made(
        (item.address, layer, size, loaded.hash),
        item,
        lambda: views.layer(loaded, item, layer, size),
        THUMBNAILS if layer == "thumbnail" else None,
    )
    if found is None:
        return later()
    return Response(found.content, 200, {"Cache-Control": "no-store", **found.headers}, found.kind)
