"""Access tokens by owner: for a service account, and for users whom discovery has logged in."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from pydantic import SecretStr

from shared.errors import PermanentError, TransientError
from shared.sources.port import LoginNeededError
from shared.tapis.api import TapisApi
from shared.tapis.grants import Granted, GrantRefusedError, OAuthClient, grant
from shared.tracing.calls import watched

RENEWED_AHEAD = timedelta(seconds=60)
"""A token that expires sooner is renewed before it is used."""
OWNERS_KEPT = 1000
_NEVER = datetime.min.replace(tzinfo=UTC)
ASK_WITHIN_S = 30.0
INTERNAL_PATH = "/internal/tapis-tokens"
_LOGIN_NEEDED = frozenset({404, 409, 410})
_NOT_TRUSTED = frozenset({401, 403})


class TapisTokens(Protocol):
    """Gives access tokens; an owner is ``username@tenant``, and empty for the service account."""

    async def token(self, owner: str) -> str:
        """Return a token that is good for a while.

        Raises:
            LoginNeededError: There is none, and cannot be without the owner.
            TransientError: Not now.
        """

    async def renewed(self, owner: str, rejected: str) -> str:
        """Return another token than the one that Tapis answered 401 to; any number of callers refresh once.

        Raises:
            LoginNeededError: There is none, and cannot be without the owner.
            TransientError: Not now.
        """


Renew = Callable[[], Awaitable[Granted]]


@dataclass
class _Kept:
    """The token of one owner, renewed by one caller at a time."""

    granted: Granted | None = None
    renew_at: datetime = _NEVER
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self, renew: Renew, rejected: str | None = None) -> str:
        """Return the token, or another one if it ends soon or was rejected."""
        async with self.lock:
            if self.granted is None or not self._is_good(self.granted, rejected):
                self.granted = await renew()
                life = self.granted.expires_at - datetime.now(UTC)
                self.renew_at = self.granted.expires_at - min(RENEWED_AHEAD, life / 4)
            return self.granted.access_token

    def _is_good(self, granted: Granted, rejected: str | None) -> bool:
        return granted.access_token != rejected and datetime.now(UTC) < self.renew_at


class ServiceAccount:
    """Logs in with a password; its owner is the empty one."""

    def __init__(
        self, api: TapisApi, username: str, password: SecretStr, client: OAuthClient | None = None
    ) -> None:
        self._api = api
        self._username = username
        self._password = password
        self._client = client
        self._kept = _Kept()

    async def token(self, owner: str) -> str:
        """Return a token that is good for a while."""
        return await self._current(owner, None)

    async def renewed(self, owner: str, rejected: str) -> str:
        """Return another token than ``rejected``."""
        return await self._current(owner, rejected)

    async def _current(self, owner: str, rejected: str | None) -> str:
        if owner:
            raise LoginNeededError(f"{owner} is not logged in to Tapis here; only the service account is")
        return await self._kept.current(self._log_in, rejected)

    async def _log_in(self) -> Granted:
        password = self._password.get_secret_value()
        try:
            return await grant(
                self._api, self._client, "password", username=self._username, password=password
            )
        except GrantRefusedError:
            raise LoginNeededError(
                f"Tapis does not let the service account {self._username} in: check"
                " FLIGHTLINE_TAPIS_USERNAME, FLIGHTLINE_TAPIS_PASSWORD and FLIGHTLINE_TAPIS_CLIENT_KEY"
            ) from None


class FromDiscovery:
    """Asks discovery, which keeps the users' logins.

    ``POST /internal/tapis-tokens`` with ``{"owner": …, "rejected": …?}`` and the internal token as bearer is
    answered with ``{"access_token": …, "expires_at": …}``, or 404, 409 or 410 with ``{"error": sentence}``
    where the user has to log in again.
    """

    def __init__(self, session: ClientSession, url: str, internal_token: SecretStr) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}{INTERNAL_PATH}"
        self._internal_token = internal_token
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def token(self, owner: str) -> str:
        """Return a token that is good for a while."""
        return await self._of(owner).current(lambda: self._ask(owner, None))

    async def renewed(self, owner: str, rejected: str) -> str:
        """Return another token than ``rejected``."""
        return await self._of(owner).current(lambda: self._ask(owner, rejected), rejected)

    def _of(self, owner: str) -> _Kept:
        kept = self._kept.setdefault(owner, _Kept())
        self._kept.move_to_end(owner)
        while len(self._kept) > OWNERS_KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _ask(self, owner: str, rejected: str | None) -> Granted:
        body = {"owner": owner} | ({"rejected": rejected} if rejected else {})
        bearer = {"Authorization": f"Bearer {self._internal_token.get_secret_value()}"}
        try:
            async with self._session.post(
                self._url, json=body, headers=bearer, allow_redirects=False
            ) as answer:
                document = await answer.json(content_type=None)
        except (ClientError, TimeoutError, OSError) as error:
            raise TransientError(
                f"discovery at {self._url} is out of reach: {type(error).__name__}"
            ) from None
        except ValueError:
            document = {}
        return self._granted(owner, answer.status, document if isinstance(document, dict) else {})

    def _granted(self, owner: str, status: int, document: dict[str, Any]) -> Granted:
        if status in _LOGIN_NEEDED:
            raise LoginNeededError(str(document.get("error") or f"{owner} has to log in to Tapis again"))
        if status in _NOT_TRUSTED:
            raise PermanentError(
                f"discovery at {self._url} does not know our token; give both services the same"
                " FLIGHTLINE_INTERNAL_TOKEN"
            )
        try:
            if status == HTTPStatus.OK:
                return Granted(str(document["access_token"]), _moment(document["expires_at"]))
        except (KeyError, ValueError):
            status = 0
        raise TransientError(f"discovery at {self._url} gives no token now (status {status})")


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ByOwner:
    """The service account's tokens for nobody in particular, else the users'."""

    service: TapisTokens | None
    users: TapisTokens

    async def token(self, owner: str) -> str:
        """Return a token that is good for a while."""
        return await self._of(owner).token(owner)

    async def renewed(self, owner: str, rejected: str) -> str:
        """Return another token than ``rejected``."""
        return await self._of(owner).renewed(owner, rejected)

    def _of(self, owner: str) -> TapisTokens:
        if owner:
            return self.users
        if self.service is None:
            raise LoginNeededError(
                "there is no Tapis service account; log in as a user, or set FLIGHTLINE_TAPIS_USERNAME and"
                " FLIGHTLINE_TAPIS_PASSWORD"
            )
        return self.service


@asynccontextmanager
async def from_discovery(url: str, internal_token: SecretStr) -> AsyncIterator[FromDiscovery]:
    """Open a connection to discovery's logins."""
    async with ClientSession(
        timeout=ClientTimeout(total=ASK_WITHIN_S),
        cookie_jar=DummyCookieJar(),
        middlewares=(watched("discovery"),),
    ) as session:
        yield FromDiscovery(session, url, internal_token)
