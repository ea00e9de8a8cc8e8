"""``datalab sessions``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from datalab.administering.opening import opened_records
from datalab.administering.telling import add_json, moment, tell, tell_rows
from datalab.domain.sessions import session_id
from datalab.wire.views import session_json
from shared.errors import NotFoundError
from shared.state import Order, Where

SHOWN_AT_MOST = 10_000
COLUMNS = {
    "ID": "id",
    "USER": "user",
    "OPERATIONS": "operation_count",
    "CREATED": "created",
    "MODIFIED": "modified",
    "NAME": "name",
}


def add_commands(commands: Any) -> None:
    """Add what can be done with sessions."""
    sessions = commands.add_parser("sessions", help="list, show and remove sessions")
    kinds = sessions.add_subparsers(required=True, dest="what")
    listing = kinds.add_parser("list", help="tell what sessions there are, last modified first")
    listing.add_argument("--user", help="of this user only")
    listing.add_argument("--limit", type=_count, default=100, help="so many at most")
    add_json(listing)
    listing.set_defaults(run=_list)
    show = kinds.add_parser("show", help="tell all of a session, as JSON")
    show.add_argument("id", type=int)
    show.set_defaults(run=_show)
    remove = kinds.add_parser("remove", help="delete a session and what is in it")
    remove.add_argument("id", type=int)
    remove.set_defaults(run=_remove)


async def _list(given: argparse.Namespace) -> None:
    where: Where = {"removing": False, **({"owner": given.user} if given.user else {})}
    order = Order("modified_us", descending=True)
    async with opened_records() as records:
        page = await records.sessions.find(where, order=order, limit=given.limit)
        rows = [
            {
                "id": one.body.number,
                "user": one.body.owner,
                "name": one.body.name,
                "operation_count": await records.operations.count({"session": one.body.number}),
                "created": moment(one.body.created_us),
                "modified": moment(one.body.modified_us),
            }
            for one in page.items
        ]
    tell_rows(COLUMNS, rows, as_json=given.json)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= SHOWN_AT_MOST:
        raise argparse.ArgumentTypeError(f"1 to {SHOWN_AT_MOST}")
    return int(text)


async def _show(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        document = await records.sessions.get(session_id(given.id))
        if document is None or document.body.removing:
            raise NotFoundError(f"There is no session {given.id}.")
        asked = [one.body async for one in records.operations.each({"session": given.id})]
    operations = [one.model_dump(mode="json", exclude={"session", "owner", "key"}) for one in asked]
    tell(json.dumps(session_json(document.body.model_dump(), operations), indent=2))


async def _remove(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        if await records.sessions.get(session_id(given.id)) is None:
            raise NotFoundError(f"There is no session {given.id}.")
        await records.remove_session(session_id(given.id))
    tell("The session is gone; a running service deletes what was in it within half a minute.")
