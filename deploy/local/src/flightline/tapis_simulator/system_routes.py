"""``getSystems`` and ``getSystem``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from flightline.tapis_simulator.answers import RefusedError, java
from flightline.tapis_simulator.asking import TAPIS, flag, integer, principal
from flightline.tapis_simulator.search import Order, is_after, parse_order, parse_search, sort_key
from flightline.tapis_simulator.systems import SUMMARY, StorageSystem
from flightline.tapis_simulator.tapis import Tapis

_LIST_TYPES = ("OWNED", "SHARED_PUBLIC", "ALL")
_ATTRIBUTES = tuple(StorageSystem("any", "any").attributes("any", "any"))
_BY_ID = Order("id")

Record = dict[str, Any]


async def get_systems(request: web.Request) -> web.Response:
    """Answer ``GET /v3/systems``."""
    user = principal(request)
    query = request.query
    order = parse_order(query["orderBy"], _ATTRIBUTES) if query.get("orderBy") else None
    start, limit = query.get("startAfter"), integer(request, "limit", 100, least=-1)
    skip = integer(request, "skip", 0, least=0)
    if start and (skip or order is None):
        raise RefusedError(400, "TAPIS_QUERY_PARAM_ERROR startAfter needs orderBy, and cannot go with skip.")
    found = _found(request, request.app[TAPIS], user)
    found.sort(key=sort_key(order or _BY_ID), reverse=bool(order and order.is_descending))
    total = len(found)
    if start and order:
        found = [one for one in found if is_after(one, order, start)]
    page = found[skip:] if limit < 0 else found[skip : skip + limit]
    metadata = {
        "recordCount": len(page),
        "recordLimit": limit,
        "recordsSkipped": skip,
        "orderBy": query.get("orderBy"),
        "startAfter": start,
        "totalCount": total if flag(request, "computeTotal") else -1,
    }
    chosen = [_selected(one, query.get("select", "summaryAttributes")) for one in page]
    return java(chosen, f"TAPIS_FOUND Systems found: {len(page)}", metadata=metadata)


async def get_system(request: web.Request) -> web.Response:
    """Answer ``GET /v3/systems/{systemId}``."""
    user, tapis, name = principal(request), request.app[TAPIS], request.match_info["systemId"]
    system = tapis.systems.get(name)
    if system is None or system.is_deleted:
        raise RefusedError(404, f"TAPIS_NOT_FOUND System not found: {name}")
    if not system.is_visible_to(user):
        raise RefusedError(403, f"SYSLIB_UNAUTH User is not authorized. User: {user} System: {name}")
    record = system.attributes(user, tapis.tenant)
    return java(
        _selected(record, request.query.get("select", "allAttributes")), f"TAPIS_FOUND System found: {name}"
    )


def _found(request: web.Request, tapis: Tapis, user: str) -> list[Record]:
    list_type = request.query.get("listType", "OWNED").upper()
    if list_type not in _LIST_TYPES:
        raise RefusedError(400, f"TAPIS_QUERY_PARAM_ERROR Invalid listType: {list_type}")
    matches = parse_search(request.query.get("search", ""), _ATTRIBUTES)
    with_deleted, credentials = flag(request, "showDeleted"), flag(request, "hasCredentials")
    records = [
        system.attributes(user, tapis.tenant)
        for system in tapis.systems.values()
        if system.is_listed(list_type, user)
        and (with_deleted or not system.is_deleted)
        and credentials in (None, system.has_credentials(user))
    ]
    return [record for record in records if matches(record)]


def _selected(record: Record, select: str) -> Record:
    """Return the attributes that are asked for; the id always is."""
    wanted = {one.strip() for one in select.split(",")}
    if "allAttributes" in wanted:
        return record
    names: Sequence[str] = (*wanted, *(SUMMARY if "summaryAttributes" in wanted else ()), "id")
    return {name: record[name] for name in record if name in names}
