"""``datalab users``."""

from __future__ import annotations

import argparse
from typing import Any

from datalab.administering.opening import opened_records
from datalab.administering.telling import add_json, ask_password, moment, tell, tell_rows
from shared.errors import ConflictError

COLUMNS = {
    "NAME": "username",
    "ADMIN": "is_admin",
    "PORTAL": "from_portal",
    "PASSWORD": "has_password",
    "CREATED": "created",
}


def add_commands(commands: Any) -> None:
    """Add what can be done with users."""
    users = commands.add_parser("users", help="list, add, change and remove users")
    kinds = users.add_subparsers(required=True, dest="what")
    listing = kinds.add_parser("list", help="tell who there is")
    add_json(listing)
    listing.set_defaults(run=_list)
    add = kinds.add_parser("add", help="make a user; the password is asked for, or read from standard input")
    add.add_argument("name")
    add.add_argument("--admin", action="store_true", help="may read what belongs to others")
    add.add_argument("--no-password", action="store_true", help="can have tokens only")
    add.set_defaults(run=_add)
    password = kinds.add_parser("password", help="give a user another password")
    password.add_argument("name")
    password.set_defaults(run=_password)
    admin = kinds.add_parser("admin", help="let a user read what belongs to others")
    admin.add_argument("name")
    admin.add_argument("--off", action="store_true", help="no longer")
    admin.set_defaults(run=_admin)
    remove = kinds.add_parser("remove", help="delete a user and their tokens")
    remove.add_argument("name")
    remove.add_argument("--with-data", action="store_true", help="and their sessions, uploads and recipes")
    remove.set_defaults(run=_remove)


async def _list(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        found = [document.body async for document in records.accounts.users.each({})]
    rows = [
        {
            "username": user.name,
            "is_admin": user.is_admin,
            "from_portal": user.from_portal,
            "has_password": bool(user.password_hash),
            "created": moment(user.created_us),
        }
        for user in found
    ]
    tell_rows(COLUMNS, rows, as_json=given.json)


async def _add(given: argparse.Namespace) -> None:
    password = None if given.no_password else ask_password()
    async with opened_records() as records:
        await records.accounts.add_user(given.name, password, is_admin=given.admin)
    tell(f"{given.name} was added.")


async def _password(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        await records.accounts.user(given.name)
        await records.accounts.set_password(given.name, ask_password())
    tell(f"{given.name} has another password.")


async def _admin(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        await records.accounts.set_admin(given.name, is_admin=not given.off)
    tell(f"{given.name} is {'no admin any more' if given.off else 'an admin'}.")


async def _remove(given: argparse.Namespace) -> None:
    async with opened_records() as records:
        await records.accounts.user(given.name)
        theirs = {"owner": given.name, "removing": False}
        count = await records.sessions.count(theirs)
        count_uploads = await records.uploads.count({"owner": given.name})
        count_recipes = await records.recipes.count({"owner": given.name})
        if (count or count_uploads or count_recipes) and not given.with_data:
            raise ConflictError(
                f"{given.name} has {count} sessions, {count_uploads} uploads and {count_recipes} recipes:"
                " say --with-data to delete them"
            )
        async for document in records.sessions.each(theirs):
            await records.remove_session(document.id)
        await records.remove_uploads(given.name)
        await records.remove_recipes(given.name)
        await records.accounts.remove_user(given.name)
    tell(f"{given.name} was removed.")
