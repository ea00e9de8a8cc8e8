"""Tells who asks: a user of Tapis, a browser that has logged in, or one of our own services."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.status import HTTP_401_UNAUTHORIZED, HTTP_403_FORBIDDEN

from discovery.domain.logins import SESSION_KEPT, Session, UnknownTokenError, digest
from discovery.domain.principals import (
    SAFE_METHODS,
    Credential,
    Principal,
    credential,
    is_own_page,
    origins_of,
)
from shared.state import Collection, RevisionError

if TYPE_CHECKING:  # heavy, and needed only where a tenant is known
    from starlette.requests import Request

    from discovery.adapters.tapis_logins import Logins
    from shared.tapis.claims import Claims

log = structlog.get_logger()

LOG_IN = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Knows who somebody is; with no Tapis tenant there is nobody to tell apart."""

    logins: Logins | None
    sessions: Collection[Session]
    service_token: SecretStr | None
    internal_token: SecretStr | None
    public_url: str | None
    allowed_origins: tuple[str, ...] = ()

    async def principal(self, request: Request, *, keep: bool = False) -> Principal:
        """Return who asks.

        Args:
            request: What is asked.
            keep: Whether to keep a Tapis token that comes along, for what is done in its owner's name later.

        Raises:
            HTTPException: 401, nobody whom we know; 403, a page of others asks in somebody's name.
            TransientError: The tenant's key cannot be had now.
        """
        shown = credential(request.headers, request.cookies)
        if self.logins is None:
            return Principal("")
        if shown is None:
            raise _unknown(f"Log in to Tapis first, at {self.logins.login_url}, or send a Tapis token.")
        if shown.kind == "session":
            return await self._of_session(request, shown)
        if self._is_ours(shown.secret):
            return Principal("")
        claims = await self._claims(self.logins, shown.secret)
        if keep:
            await self.logins.show(claims, shown.secret)
        return Principal(claims.owner)

    async def viewer(self, request: Request) -> str | None:
        """Return the owner whose flights alone the caller may see; None: all."""
        return (await self.principal(request)).sees

    def is_service(self, request: Request) -> bool:
        """Return whether one of our own services asks, or the operator."""
        shown = credential(request.headers, {})
        return shown is not None and self._is_ours(shown.secret)

    async def welcome(self, claims: Claims) -> tuple[str, Session]:
        """Begin a session of a browser; return its secret, which nobody else has."""
        secret = secrets.token_urlsafe(32)
        ends_at = datetime.now(UTC) + SESSION_KEPT
        session = Session(
            owner=claims.owner, username=claims.username, tenant=claims.tenant, expires_at=ends_at
        )
        await self.sessions.insert(digest(secret), session, expires_at=ends_at)
        return secret, session

    async def see_off(self, owner: str) -> None:
        """End all sessions of a user."""
        while True:
            page = await self.sessions.find({"owner": owner})
            for document in page.items:
                try:
                    await self.sessions.delete(document)
                except RevisionError:
                    continue
            if page.cursor is None:
                return

    async def _of_session(self, request: Request, shown: Credential) -> Principal:
        document = await self.sessions.get(digest(shown.secret))
        if document is None or document.body.expires_at <= datetime.now(UTC):
            assert self.logins is not None
            raise _unknown(f"The session is over; log in again at {self.logins.login_url}.")
        own = origins_of(request.headers.get("host", ""), self.public_url, self.allowed_origins)
        if request.method not in SAFE_METHODS and not is_own_page(request.headers, own):
            raise HTTPException(HTTP_403_FORBIDDEN, "A page of another site may not do this in your name.")
        return Principal(document.body.owner)

    async def _claims(self, logins: Logins, token: str) -> Claims:
        try:
            return await logins.claims(token)
        except UnknownTokenError as error:
            raise _unknown(f"{error}.") from None

    def _is_ours(self, token: str) -> bool:
        ours = (self.service_token, self.internal_token)
        return any(
            hmac.compare_digest(token.encode(), one.get_secret_value().encode()) for one in ours if one
        )


def _unknown(text: str) -> HTTPException:
    return HTTPException(HTTP_401_UNAUTHORIZED, text, headers=LOG_IN)
