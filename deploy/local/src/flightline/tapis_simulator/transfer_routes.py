"""Making, watching and cancelling transfers."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError, java
from flightline.tapis_simulator.asking import TAPIS, fields, flag, integer, principal
from flightline.tapis_simulator.transferring import carry_out
from flightline.tapis_simulator.transfers import Element, Transfer

_SOURCES = ("tapis://", "http://", "https://")
_MOST_ELEMENTS = 1000
_MOST_TRANSFERS = 1000


async def create_transfer(request: web.Request) -> web.Response:
    """Answer ``POST /v3/files/transfers``."""
    user, body, tapis = principal(request), await fields(request), request.app[TAPIS]
    wanted = body.get("elements")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _MOST_ELEMENTS:
        raise RefusedError(400, "FILES_TXFR_NO_ELEMENTS A transfer needs elements.")
    if len(tapis.transfers) >= _MOST_TRANSFERS:
        raise RefusedError(500, "FILES_TXFR_TOO_MANY The simulator keeps no more transfer tasks.")
    tag = body.get("tag")
    transfer = Transfer(user, [_element(one) for one in wanted], str(tag) if tag else None)
    tapis.transfers[transfer.uuid] = transfer
    document = transfer.document(tapis.tenant, with_summary=True, with_details=False)
    transfer.work = asyncio.create_task(carry_out(tapis, transfer))
    return java(document, "FILES_TXFR_CREATED Created a transfer task.")


async def list_transfers(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/transfers``, the newest first."""
    user, tapis = principal(request), request.app[TAPIS]
    offset, limit = (
        integer(request, "offset", 0, least=0),
        integer(request, "limit", 1000, least=0, most=1000),
    )
    own = [transfer for transfer in reversed(tapis.transfers.values()) if transfer.owner == user]
    page = own[offset : offset + limit]
    documents = [one.document(tapis.tenant, with_summary=True, with_details=False) for one in page]
    return java(documents, "FILES_TXFR_LIST Listed transfer tasks.")


async def get_transfer(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/transfers/{transferTaskId}``."""
    return _told(request, with_summary=bool(flag(request, "includeSummary")), with_details=False)


async def get_transfer_details(request: web.Request) -> web.Response:
    """Answer ``GET /v3/files/transfers/{transferTaskId}/details``."""
    return _told(request, with_summary=True, with_details=True)


async def cancel_transfer(request: web.Request) -> web.Response:
    """Answer ``DELETE /v3/files/transfers/{transferTaskId}``."""
    _own(request).cancel()
    return java(None, "FILES_TXFR_CANCELLED Cancelled the transfer task.")


def _told(request: web.Request, *, with_summary: bool, with_details: bool) -> web.Response:
    tenant = request.app[TAPIS].tenant
    document = _own(request).document(tenant, with_summary=with_summary, with_details=with_details)
    return java(document, "FILES_TXFR_FOUND Found the transfer task.")


def _own(request: web.Request) -> Transfer:
    user = principal(request)
    transfer = request.app[TAPIS].transfers.get(request.match_info["transferTaskId"])
    if transfer is None:
        raise RefusedError(404, "FILES_TXFR_NOT_FOUND There is no such transfer task.")
    if transfer.owner != user:
        raise RefusedError(403, "FILES_TXFR_UNAUTH The transfer task belongs to somebody else.")
    return transfer


def _element(given: Any) -> Element:
    source = given.get("sourceURI") if isinstance(given, dict) else None
    destination = given.get("destinationURI") if isinstance(given, dict) else None
    if not isinstance(source, str) or not source.startswith(_SOURCES):
        raise RefusedError(400, f"FILES_TXFR_BAD_SOURCE Invalid sourceURI: {source}")
    if not isinstance(destination, str) or not destination.startswith("tapis://"):
        raise RefusedError(
            400, f"FILES_TXFR_BAD_DESTINATION destinationURI must begin with tapis://: {destination}"
        )
    return Element(source, destination, is_optional=bool(given.get("optional")))
