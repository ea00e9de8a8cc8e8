"""Logging in to Tapis: one request for tokens, whatever the grant."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from shared.errors import PermanentError, TransientError
from shared.tapis.api import TapisApi
from shared.tapis.faults import TapisFault


class GrantRefusedError(PermanentError):
    """Tapis gives no tokens for this: a wrong password, a used code, a dead refresh token, a wrong client."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The application as Tapis knows it."""

    client_id: str
    client_key: SecretStr

    @property
    def authorization(self) -> str:
        """Return the header that it proves itself with."""
        pair = f"{self.client_id}:{self.client_key.get_secret_value()}"
        return f"Basic {b64encode(pair.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login gives."""

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(repr=False, default=None)
    """None without a client: then one logs in anew."""
    refresh_expires_at: datetime | None = None


async def grant(api: TapisApi, client: OAuthClient | None, grant_type: str, **fields: str) -> Granted:
    """Ask for tokens.

    What Tapis says to a refusal is told to nobody, since it repeats client id and key.

    Args:
        api: The tenant.
        client: Who asks; None is enough for ``password``.
        grant_type: ``password``, ``authorization_code`` or ``refresh_token``.
        fields: What the grant needs: username and password, code and redirect_uri, or refresh_token.

    Raises:
        GrantRefusedError: There will be none for this.
        TransientError: Tapis is out of reach, or busy.
    """
    headers = {"Authorization": client.authorization} if client else {}
    try:
        result = await api.call(
            "authenticator", "create_token", headers=headers, grant_type=grant_type, **fields
        )
    except TapisFault as fault:
        if fault.may_pass:
            raise TransientError(f"{api.base_url} gives no tokens now (status {fault.status})") from None
        status = fault.status
    else:
        return _granted(result)
    raise GrantRefusedError(f"{api.base_url} refused the {grant_type} grant (status {status})")


def _granted(result: Any) -> Granted:
    """Take tokens out of the answer, where each lies in an object of its own."""
    access, refresh = getattr(result, "access_token", None), getattr(result, "refresh_token", None)
    token = getattr(access, "access_token", None)
    if not isinstance(token, str) or not token:
        raise TransientError("the answer to a request for tokens holds none")
    again = getattr(refresh, "refresh_token", None)
    return Granted(
        token,
        _expiry(access) or datetime.now(UTC),
        again if isinstance(again, str) and again else None,
        _expiry(refresh),
    )


def _expiry(token: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(token.expires_at))
    except (AttributeError, ValueError):
        seconds = getattr(token, "expires_in", None)
        return datetime.now(UTC) + timedelta(seconds=seconds) if isinstance(seconds, int | float) else None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
