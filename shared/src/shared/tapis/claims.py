"""What a Tapis access token says, once its signature is known to be good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from shared.errors import PermanentError

CLOCKS_MAY_DIFFER_S = 30
TOKEN_AT_MOST_CHARACTERS = 16_384
_ALGORITHM = "RS256"
_REQUIRED = ["exp", "iss", "sub"]


class TokenRefusedError(PermanentError):
    """The token is no access token of a user of this tenant, or not any more."""


class OtherKeyError(TokenRefusedError):
    """The token is not signed with the key that was given: forged, or the tenant has another one now."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token is for."""

    username: str
    tenant: str
    expires_at: datetime
    client_id: str | None = None
    jti: str | None = None

    @property
    def owner(self) -> str:
        """Return the user as flights and logins name him."""
        return f"{self.username}@{self.tenant}"


def verify(token: str, public_key: str, tenant: str, base_url: str) -> Claims:
    """Return the claims of a user's access token.

    Args:
        token: The JWT.
        public_key: The tenant's, as PEM.
        tenant: Id of the tenant.
        base_url: Where the tenant is; it signs as ``{base_url}/v3/tokens``.

    Raises:
        TokenRefusedError: Signature, time, issuer or kind are not right; the token itself is not repeated.
        OtherKeyError: The signature is of another key.
    """
    if len(token) > TOKEN_AT_MOST_CHARACTERS:
        raise TokenRefusedError("this is no Tapis token")
    try:
        claims = jwt.decode(
            token,
            public_key,
            algorithms=[_ALGORITHM],
            issuer=f"{base_url.rstrip('/')}/v3/tokens",
            leeway=CLOCKS_MAY_DIFFER_S,
            options={"require": _REQUIRED, "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefusedError("the Tapis token has expired; log in again") from None
    except jwt.InvalidSignatureError:
        raise OtherKeyError("the Tapis token is not signed with the tenant's key") from None
    except jwt.PyJWTError as error:
        raise TokenRefusedError(f"the Tapis token does not count here ({type(error).__name__})") from None
    _check(claims, tenant)
    return Claims(
        username=_text(claims, "tapis/username"),
        tenant=tenant,
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        client_id=claims.get("tapis/client_id"),
        jti=claims.get("jti"),
    )


def _check(claims: dict[str, Any], tenant: str) -> None:
    wanted = {"tapis/tenant_id": tenant, "tapis/token_type": "access", "tapis/account_type": "user"}
    for name, value in wanted.items():
        if claims.get(name) != value:
            raise TokenRefusedError(f"the Tapis token does not count here: its {name} is not {value}")
    if claims.get("sub") != f"{_text(claims, 'tapis/username')}@{tenant}":
        raise TokenRefusedError("the Tapis token does not count here: it names two users")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TokenRefusedError(f"the Tapis token does not count here: it has no {name}")
    return value
