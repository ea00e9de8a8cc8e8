"""Users and their tokens, in the document store; any number of processes may share the documents."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import SecretStr

from datalab.clock import now_us
from datalab.domain.passwords import TOKEN_AT_MOST_CHARACTERS, check_password, check_token, user_name
from datalab.domain.users import Caller, Token, User
from shared.errors import ConflictError, InvalidInputError, NotFoundError, TransientError
from shared.passwords import Hashing, Throttle, token_key
from shared.state import AlreadyExistsError, Collection, Document, Order, RevisionError

KNOWN_FOR_S = 5.0
"""So long a token that was revoked by another process may still count."""
KNOWN_AT_MOST = 4096
USED_EVERY_US = 5 * 60 * 1_000_000
"""How exactly it is known when a token was used last."""
FAILURES_A_MINUTE = 5
"""Wrong passwords for one name."""
TOKENS_AT_MOST = 50
"""Of one user; by another login the oldest that a login gave is lost."""
LOGIN = "login"


@dataclass(slots=True)
class Accounts:
    """Who there is, and by which tokens they are known."""

    users: Collection[User]
    tokens: Collection[Token]
    _known: OrderedDict[str, tuple[float, Caller]] = field(default_factory=OrderedDict)
    _failures: Throttle = field(default_factory=lambda: Throttle(FAILURES_A_MINUTE, per_s=60))
    _hashing: Hashing = field(default_factory=Hashing)

    async def add_user(self, name: str, password: str | None, *, is_admin: bool = False) -> User:
        """Make a user; without a password, one that has tokens only.

        Raises:
            InvalidInputError: Name or password cannot be used.
            ConflictError: The name is taken.
        """
        user = User(name=user_name(name), is_admin=is_admin, created_us=now_us())
        if password is not None:
            user = user.model_copy(update=await self._hashed(password))
        try:
            await self.users.insert(name, user)
        except AlreadyExistsError as error:
            raise ConflictError(f"There is a user {name} already.") from error
        return user

    async def set_password(self, name: str, password: str) -> None:
        """Give a user another password; what opens the account otherwise stays.

        Raises:
            InvalidInputError: It cannot be used.
            NotFoundError: There is no such user.
        """
        hashed = await self._hashed(password)
        await self.users.update((await self.user(name)).name, lambda old: old.model_copy(update=hashed))

    async def set_admin(self, name: str, *, is_admin: bool) -> None:
        """Let a user read what belongs to others, or no longer.

        Raises:
            NotFoundError: There is no such user.
        """
        await self.users.update(
            (await self.user(name)).name, lambda old: old.model_copy(update={"is_admin": is_admin})
        )
        self._known.clear()

    async def user(self, name: str) -> User:
        """Return a user.

        Raises:
            NotFoundError: There is none of this name.
        """
        document = await self.users.get(name) if _is_name(name) else None
        if document is None:
            raise NotFoundError(f"There is no user {name}.")
        return document.body

    async def remove_user(self, name: str) -> None:
        """Delete a user and all their tokens; sessions are not this one's business.

        Raises:
            NotFoundError: There is no such user.
        """
        document = await self.users.load((await self.user(name)).name)
        async for token in self.tokens.each({"user": name}):
            await self._drop(token)
        await self.users.delete(document)
        self._known.clear()

    async def portal_user(self, name: str) -> User | None:
        """Return the user that the portal calls so, made where it is new; None: the name is a local user's.

        Whoever may take names at the portal must not come into an account by taking its name.
        """
        new = User(name=user_name(name), from_portal=True, created_us=now_us())
        document = await self.users.get(name)
        if document is None:
            document, _ = await self.users.ensure(name, new)
        return document.body if document.body.from_portal else None

    async def add_token(
        self, name: str, *, label: str = "", token: str | None = None, from_portal: bool = False
    ) -> str:
        """Return a new token of a user, or the given one; it is not kept, and cannot be told again.

        Raises:
            InvalidInputError: The given one cannot be used.
            NotFoundError: There is no such user.
            ConflictError: The given one is somebody else's.
        """
        user = await self.user(name)
        token = token if token is not None else secrets.token_hex(20)
        check_token(token)
        new = Token(user=user.name, label=label, created_us=now_us(), from_portal=from_portal)
        document, _ = await self.tokens.ensure(token_key(token), new)
        if document.body.user != user.name:
            raise ConflictError("This token is somebody else's.")
        self._known.pop(document.id, None)
        await self._make_room(user.name)
        return token

    async def tokens_of(self, name: str) -> list[Document[Token]]:
        """Return a user's tokens, the newest first."""
        order = Order("created_us", descending=True)
        return [document async for document in self.tokens.each({"user": name}, order=order)]

    async def revoke(self, name: str, key: str) -> None:
        """Delete the token of a user whose hash begins with ``key``.

        Raises:
            NotFoundError: There is none, or there are several.
        """
        found = [document for document in await self.tokens_of(name) if key and document.id.startswith(key)]
        if len(found) != 1:
            raise NotFoundError(f"There is no such token of {name}.")
        await self._drop(found[0])

    async def login(self, name: str, password: str) -> str | None:
        """Return a new token of a user, or None: nobody learns whether name or password is wrong.

        Raises:
            TransientError: Too many wrong passwords, or too many logins at once.
        """
        now_s = time.monotonic()
        if self._failures.is_closed(name, now_s):
            raise TransientError("Too many failed logins; try again in a minute.")
        self._failures.count(name, now_s)  # before it is one: guesses side by side must not slip through
        if not await self._is_password(name, password):
            return None
        self._failures.forget(name)
        return await self.add_token(name, label=LOGIN)

    async def caller(self, token: str) -> Caller | None:
        """Return whose token this is, or None for nobody's; a yes may be some seconds old."""
        if not token or len(token) > TOKEN_AT_MOST_CHARACTERS:
            return None
        key, now_s = token_key(token), time.monotonic()
        known = self._known.get(key)
        if known is None or now_s >= known[0]:
            caller = await self._found(key, token)
            if caller is None:  # not remembered: it may be given in a moment
                self._known.pop(key, None)
                return None
            known = now_s + KNOWN_FOR_S, caller
            self._known[key] = known
            if len(self._known) > KNOWN_AT_MOST:
                self._known.popitem(last=False)
        return known[1]

    async def _found(self, key: str, token: str) -> Caller | None:
        document = await self.tokens.get(key)
        user = await self.users.get(document.body.user) if document else None
        if document is None or user is None:
            return None
        await self._note_use(document)
        archive = SecretStr(token) if document.body.from_portal else None
        return Caller(user.body.name, user.body.is_admin, archive)

    async def _note_use(self, document: Document[Token]) -> None:
        now = now_us()
        if now - document.body.used_us < USED_EVERY_US:
            return
        with suppress(NotFoundError, TransientError):  # knowing it is not worth an error
            await self.tokens.update(document.id, lambda old: old.model_copy(update={"used_us": now}))

    async def _make_room(self, name: str) -> None:
        found = await self.tokens_of(name)
        given = [document for document in found if document.body.label == LOGIN or document.body.from_portal]
        for document in given[TOKENS_AT_MOST:]:
            await self._drop(document)

    async def _drop(self, document: Document[Token]) -> None:
        self._known.pop(document.id, None)
        while current := await self.tokens.get(document.id):
            with suppress(RevisionError):  # it was used meanwhile
                return await self.tokens.delete(current)
        return None

    async def _is_password(self, name: str, password: str) -> bool:
        document = await self.users.get(name) if _is_name(name) else None
        has_password = document is not None and document.body.password_hash
        return await self._hashing.is_password(password, document.body if document and has_password else None)

    async def _hashed(self, password: str) -> dict[str, str | int]:
        check_password(password)
        return (await self._hashing.hashed(password))._asdict()


def _is_name(name: str) -> bool:
    try:
        return bool(user_name(name))
    except InvalidInputError:
        return False
