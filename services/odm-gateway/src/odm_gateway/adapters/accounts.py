"""Users and their logins, in the document store."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from odm_gateway.domain.callers import Caller
from odm_gateway.domain.logins import Login, User, caller_of_user, check_password, user_name
from shared.errors import InvalidInputError
from shared.passwords import Hashing, Throttle, token_key
from shared.state import AlreadyExistsError, Collection, CollectionSpec

USERS = CollectionSpec("odm_users")
LOGINS = CollectionSpec("odm_logins")

KNOWN_FOR_S = 10.0
KNOWN_AT_MOST = 4096
FAILURES_A_MINUTE = 5
"""Wrong passwords for one name."""
REGISTRATIONS_A_MINUTE = 30
TOKEN_AT_MOST_CHARACTERS = 1000


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
    _hashing: Hashing = field(default_factory=Hashing)

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
        hashed = await self._hashing.hashed(password)
        user = User(**hashed._asdict(), created_at=datetime.now(UTC))
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
        if not await self._is_password(name, password):
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
        return await self._hashing.is_password(password, document.body if document else None)


def _existing_name(raw: str) -> str:
    """Return a name to look up; one that nobody can have is nobody's, and is told no sooner."""
    try:
        return user_name(raw)
    except InvalidInputError:
        return ""
