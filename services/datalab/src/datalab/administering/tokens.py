"""``datalab tokens``."""

from __future__ import annotations

import argparse
from typing import Any

from datalab.administering.opening import opened_records
from datalab.administering.telling import add_json, moment, tell, tell_rows

SHOWN_CHARACTERS = 16
COLUMNS = {"ID": "id", "CREATED": "created", "USED": "used", "LABEL": "label"}


def add_commands(commands: Any) -> None:
    """Add what can be done with tokens."""
    tokens = commands.add_parser("tokens", help="list, add and revoke users' tokens")
    kinds = tokens.add_subparsers(required=True, dest="what")
    listing = kinds.add_parser("list", help="tell a user's tokens, as far as they can be told")
    listing.add_argument("user")
    add_json(listing)
    listing.set_defaults(run=_list)
    add = kinds.add_parser("add", help="give a user another token, which is told this once")
    add.add_argument("user")
    add.add_argument("--label", default="", help="what it is for")
    add.set_defaults(run=_add)
    revoke = kinds.add_parser("revoke", help="let a token count no longer")
    revoke.add_argument("user")
    revoke.add_argument("id", help="as the list has it")
    revoke.set_defaults(run=_revoke)


async def _list(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        await records.accounts.user(given.user)
        found = await records.accounts.tokens_of(given.user)
    rows = [
        {
            "id": one.id[:SHOWN_CHARACTERS],
            "label": one.body.label,
            "created": moment(one.body.created_us),
            "used": moment(one.body.used_us),
        }
        for one in found
    ]
    tell_rows(COLUMNS, rows, as_json=given.json)


async def _add(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        tell(await records.accounts.add_token(given.user, label=given.label))


async def _revoke(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        await records.accounts.revoke(given.user, given.id)
    tell("The token counts no longer; a running service may let it in for some seconds more.")
