"""Making, listing and redeeming PostIts."""

from __future__ import annotations

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError, java
from flightline.tapis_simulator.asking import TAPIS, fields, integer, principal, storage, usable
from flightline.tapis_simulator.content import file_at, send_file
from flightline.tapis_simulator.postits import PostIt

_THIRTY_DAYS_S = 2_592_000
_MOST = 10_000


async def create_postit(request: web.Request) -> web.Response:
    """Answer ``POST /v3/files/postits/{systemId}/{path}``."""
    system, path, user = storage(request)
    body, tapis = await fields(request), request.app[TAPIS]
    uses, valid_s = body.get("allowedUses", 1), body.get("validSeconds", _THIRTY_DAYS_S)
    if not isinstance(uses, int) or not isinstance(valid_s, int) or uses == 0 or uses < -1 or valid_s < 1:
        raise RefusedError(400, "POSTIT_INVALID allowedUses must be -1 or above 0, validSeconds above 0.")
    if len(tapis.postits) >= _MOST:
        raise RefusedError(500, "POSTIT_TOO_MANY The simulator keeps no more PostIts.")
    postit = tapis.postits.make(system.id, path, user, uses, valid_s)
    return java(postit.document(tapis.base_url, tapis.tenant), "POSTIT_CREATED Created a PostIt.")


async def list_postits(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/postits``."""
    user, tapis = principal(request), request.app[TAPIS]
    skip, limit = integer(request, "skip", 0, least=0), integer(request, "limit", 100, least=-1)
    own = tapis.postits.of(user)[skip:]
    page = own if limit < 0 else own[:limit]
    return java([one.document(tapis.base_url, tapis.tenant) for one in page], "POSTIT_LIST Listed PostIts.")


async def get_postit(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/postits/{postitId}``."""
    user, tapis = principal(request), request.app[TAPIS]
    postit = _known(request)
    if postit.owner != user:
        raise RefusedError(403, "POSTIT_UNAUTH The PostIt belongs to somebody else.")
    return java(postit.document(tapis.base_url, tapis.tenant), "POSTIT_FOUND Found a PostIt.")


async def redeem_postit(request: web.Request) -> web.StreamResponse:
    """Answer ``GET /v3/files/postits/redeem/{postitId}``; the link is all that it takes."""
    postit = _known(request)
    if postit.is_spent:
        raise RefusedError(403, "POSTIT_EXPIRED The PostIt was used up or is too old.")
    postit.times_used += 1
    system = usable(request.app[TAPIS], postit.system, postit.owner)
    return await send_file(request, system, file_at(system, postit.path))


def _known(request: web.Request) -> PostIt:
    postit = request.app[TAPIS].postits.get(request.match_info["postitId"])
    if postit is None:
        raise RefusedError(404, "POSTIT_NOT_FOUND There is no such PostIt.")
    return postit
