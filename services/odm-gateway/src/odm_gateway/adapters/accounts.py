"""Users and their logins, in the document store."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.logins import (
    PASSES,
    PASSWORD_AT_MOST_CHARACTERS,
    Login,
    Throttle,
    User,
    caller_of_user,
    check_password,
    password_hash,
    token_key,
    user_name,
)
from shared.errors import InvalidInputError, TransientError
from shared.state import AlreadyExistsError, Collection, CollectionSpec

USERS = CollectionSpec("odm_users")
LOGINS = CollectionSpec("odm_logins")

KNOWN_FOR_S = 10.0
KNOWN_AT_MOST = 4096
FAILURES_A_MINUTE = 5
"""Wrong passwords for one name."""
REGISTRATIONS_A_MINUTE = 30
HASHES_AT_ONCE = 2
"""Each takes a core and 32 MiB."""
HASHES_WAITING = 32
TOKEN_AT_MOST_CHARACTERS = 1000
_SALT_BYTES = 16
_NOBODYS_SALT = bytes(_SALT_BYTES)


@dataclass(slots=True)
class Accounts:
    """Who can log in, and who has; any number of processes may share the documents."""

    users: Collection[User]
    logins: Collection[Login]
    lifetime: timedelta
    """How long a token counts."""
    registration: bool
    """Whether anybody may become a user."""
    _known: dict[str, tuple[float, Caller | None]] = field(default_factory=dict)
    _failures: Throttle = field(default_factory=lambda: Throttle(FAILURES_A_MINUTE, per_s=60))
    _registrations: Throttle = field(default_factory=lambda: Throttle(REGISTRATIONS_A_MINUTE, per_s=60))
    _hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHES_AT_ONCE))
    _waiting: int = 0

    async def register(self, name: str, password: str) -> None:
        """Make a user.

        Raises:
            InvalidInputError: Name or password cannot be used, or the name is taken.
        """
        name = user_name(name)
        check_password(password)
        now_s = time.monotonic()
        if self._registrations.is_closed("", now_s):
            raise InvalidInputError("Too many registrations; try again in a minute.")
        self._registrations.count("", now_s)
        salt = secrets.token_bytes(_SALT_BYTES)
        hashed = await self._hash(password, salt)
        user = User(salt=salt.hex(), password_hash=hashed.hex(), passes=PASSES, created_at=datetime.now(UTC))
        try:
            await self.users.insert(name, user)
        except AlreadyExistsError as error:
            raise InvalidInputError("This username is taken.", field="username") from error

    async def login(self, name: str, password: str) -> str:
        """Return a new token of a user; nobody learns whether it is the name or the password that is wrong.

        Raises:
            InvalidInputError: There is no such user, the password is another, or too many were tried.
        """
        name = _existing_name(name)
        now_s = time.monotonic()
        if self._failures.is_closed(name, now_s):
            raise InvalidInputError("Too many failed logins; try again in a minute.")
        self._failures.count(name, now_s)  # before it is one: guesses side by side must not slip through
        if not await self._is_password(name, password[: PASSWORD_AT_MOST_CHARACTERS + 1]):
            raise InvalidInputError("Invalid username or password.")
        self._failures.forget(name)
        token = secrets.token_urlsafe()
        expires_at = datetime.now(UTC) + self.lifetime
        await self.logins.insert(
            token_key(token), Login(user=name, expires_at=expires_at), expires_at=expires_at
        )
        return token

    async def caller(self, token: str) -> Caller | None:
        """Return who logged in and got ``token``; an answer may be some seconds old."""
        if not token or len(token) > TOKEN_AT_MOST_CHARACTERS:
            return None
        key, now_s = token_key(token), time.monotonic()
        if (known := self._known.get(key)) and now_s < known[0]:
            return known[1]
        document = await self.logins.get(key)
        is_current = document is not None and document.body.expires_at > datetime.now(UTC)
        caller = caller_of_user(document.body.user) if document and is_current else None
        self._known.pop(key, None)
        if len(self._known) >= KNOWN_AT_MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = (now_s + KNOWN_FOR_S, caller)
        return caller

    async def _is_password(self, name: str, password: str) -> bool:
        document = await self.users.get(name) if name else None
        # Without such a user as much work is done, so that the time tells nothing.
        salt = bytes.fromhex(document.body.salt) if document else _NOBODYS_SALT
        hashed = await self._hash(password, salt, document.body.passes if document else PASSES)
        expected = bytes.fromhex(document.body.password_hash) if document else b""
        return hmac.compare_digest(hashed, expected)

    async def _hash(self, password: str, salt: bytes, passes: int = PASSES) -> bytes:
        async with self._room_to_hash():
            return await asyncio.to_thread(password_hash, password, salt, passes)

    @asynccontextmanager
    async def _room_to_hash(self) -> AsyncIterator[None]:
        if self._waiting >= HASHES_WAITING:
            raise TransientError("Too many logins at once.")
        self._waiting += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._waiting -= 1


def _existing_name(raw: str) -> str:
    """Return a name to look up; one that nobody can have is nobody's, and is told no sooner."""
    try:
        return user_name(raw)
    except InvalidInputError:
        return ""
