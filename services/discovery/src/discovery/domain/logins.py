"""A user's Tapis login, a browser on its way to one, and a browser that has one."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field

from discovery.domain.flights import Frozen
from shared.errors import PermanentError

STATE_KEPT = timedelta(minutes=10)
SESSION_KEPT = timedelta(days=7)
RENEWED_AHEAD = timedelta(minutes=5)
REDIRECT_AT_MOST_CHARACTERS = 2000


class UnknownTokenError(PermanentError):
    """A token that proves nothing: not signed by the tenant, over, or of another kind."""


class CodeRefusedError(PermanentError):
    """Tapis gives no tokens for what a browser brought back."""


class LoginState(StrEnum):
    """Whether a login can be used."""

    ACTIVE = "active"
    LOGIN_NEEDED = "login needed"
    """Tapis does not renew it any more."""


class Login(Frozen):
    """What is kept of one user's login; the tokens are sealed."""

    owner: str
    username: str
    tenant: str
    client_id: str = ""
    """The application that the user logged in to; empty: the user showed a token of another one."""
    access_token: str = Field(repr=False)
    access_expires_at: AwareDatetime
    refresh_token: str | None = Field(repr=False, default=None)
    refresh_expires_at: AwareDatetime | None = None
    state: LoginState = LoginState.ACTIVE
    logged_in_at: AwareDatetime
    renewed_at: AwareDatetime

    @property
    def ends_at(self) -> datetime:
        """Return when nothing of it can be used any more."""
        return max(self.access_expires_at, self.refresh_expires_at or self.access_expires_at)

    def is_good(self, now: datetime, *, ahead: timedelta = timedelta()) -> bool:
        """Return whether the access token can be used for so long."""
        return self.state is LoginState.ACTIVE and now + ahead < self.access_expires_at

    def renew_ahead(self) -> timedelta:
        """Return how long before its end the access token is renewed: short ones have less to give away."""
        return min(RENEWED_AHEAD, (self.access_expires_at - self.renewed_at) / 4)


class OAuthState(Frozen):
    """A browser on its way to Tapis and back; good for one return."""

    client_id: str
    browser: str
    """Hash of what the browser alone has."""
    redirect_after: str = ""
    expires_at: AwareDatetime


class Session(Frozen):
    """A browser that is logged in."""

    owner: str
    username: str
    tenant: str
    expires_at: AwareDatetime


def digest(secret: str) -> str:
    """Return the name under which a secret of a browser is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def allowed_redirect(target: str, origins: frozenset[str]) -> str | None:
    r"""Return ``target`` if a browser may be sent there after its login; None: it may not.

    A path of ours, or a URL of an origin that the operator allows; what browsers read in another way than we
    do, such as ``//host`` and ``/\host``, is neither.
    """
    if len(target) > REDIRECT_AT_MOST_CHARACTERS or not target.isprintable() or " " in target:
        return None
    if "\\" in target:
        return None
    if target.startswith("/"):
        return None if target.startswith("//") else target
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    return target if parts.scheme in ("http", "https") and origin in origins else None
