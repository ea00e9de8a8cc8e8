"""Tokens as Tapis signs them: JWTs for access and for refreshing."""

from __future__ import annotations

import functools
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TokenType = Literal["access", "refresh"]


class InvalidTokenError(Exception):
    """The token is forged, worn out, revoked, or of the wrong kind."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for."""

    username: str
    grant_type: str
    client_id: str | None = None
    redirect_uri: str | None = None
    refresh_count: int = 0


@functools.cache
def _own_key(number: int) -> rsa.RSAPrivateKey:
    """Return a key of this process; making one takes a while."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Makes tokens of one tenant and knows which of them still count."""

    def __init__(self, tenant: str, access_ttl_s: float, refresh_ttl_s: float) -> None:
        self.tenant = tenant
        self.issuer = ""
        self.access_ttl_s = access_ttl_s
        self.refresh_ttl_s = refresh_ttl_s
        self._key_number = 0
        self._key = _own_key(self._key_number)
        self._generations: dict[TokenType, int] = {"access": 0, "refresh": 0}
        self._revoked: set[str] = set()

    @property
    def public_key(self) -> str:
        """Return the key to check signatures with, as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def issue(self, grant: Grant) -> dict[str, Any]:
        """Return the result of a request for tokens; with a client, a refresh token is in it."""
        access = self._claims(grant, "access")
        result = {"access_token": self._signed(access, "access", self.access_ttl_s)}
        if grant.client_id is not None:
            result["refresh_token"] = self._signed(
                self._refresh_claims(access), "refresh", self.refresh_ttl_s
            )
        return result

    def access_token(self, username: str, ttl_s: float | None = None) -> str:
        """Return an access token alone."""
        claims = self._claims(Grant(username, "password"), "access")
        ttl_s = self.access_ttl_s if ttl_s is None else ttl_s
        return str(self._signed(claims, "access", ttl_s)["access_token"])

    def check(self, token: str, wanted: TokenType) -> dict[str, Any]:
        """Return a token's claims.

        Raises:
            InvalidTokenError: It does not count.
        """
        claims = self._decoded(token)
        if claims.get("tapis/token_type") != wanted or claims.get("tapis/tenant_id") != self.tenant:
            raise InvalidTokenError(f"The token is no {wanted} token of this tenant.")
        if _generation(claims["jti"]) < self._generations[wanted]:
            raise InvalidTokenError("Signature has expired")
        if claims["jti"] in self._revoked:
            raise InvalidTokenError("The token was revoked.")
        return claims

    def grant_of(self, refresh_token: str) -> Grant:
        """Return what a refresh token stands for, counted one further."""
        nested = self.check(refresh_token, "refresh")["tapis/access_token"]
        return Grant(
            nested["tapis/username"],
            "refresh_token",
            nested["tapis/client_id"],
            nested["tapis/redirect_uri"],
            nested["tapis/refresh_count"] + 1,
        )

    def revoke(self, token: str) -> None:
        """Make one token count no longer."""
        self._revoked.add(str(self._decoded(token)["jti"]))

    def end_all(self, token_type: TokenType) -> None:
        """Make every token issued so far count no longer, whatever its ``exp`` says."""
        self._generations[token_type] += 1

    def rotate_key(self) -> None:
        """Sign with another key from now on; what the one before has signed counts no longer."""
        self._key_number += 1
        self._key = _own_key(self._key_number)

    def _decoded(self, token: str) -> dict[str, Any]:
        options: Any = {"require": ["exp", "jti"], "verify_aud": False}
        try:
            return jwt.decode(token, self._key.public_key(), algorithms=["RS256"], options=options)
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(str(error)) from error

    def _claims(self, grant: Grant, token_type: TokenType) -> dict[str, Any]:
        return {
            "jti": self._new_jti(token_type),
            "iss": self.issuer,
            "sub": f"{grant.username}@{self.tenant}",
            "tapis/tenant_id": self.tenant,
            "tapis/token_type": token_type,
            "tapis/delegation": False,
            "tapis/delegation_sub": None,
            "tapis/username": grant.username,
            "tapis/account_type": "user",
            "tapis/client_id": grant.client_id,
            "tapis/grant_type": grant.grant_type,
            "tapis/redirect_uri": grant.redirect_uri,
            "tapis/refresh_count": grant.refresh_count,
            "tapis/idp_id": "simulator",
        }

    def _refresh_claims(self, access: dict[str, Any]) -> dict[str, Any]:
        own = ("iss", "sub", "tapis/tenant_id")
        return {
            "jti": self._new_jti("refresh"),
            **{name: access[name] for name in own},
            "tapis/token_type": "refresh",
            "tapis/initial_ttl": self.refresh_ttl_s,
            "tapis/access_token": access,
        }

    def _signed(self, claims: dict[str, Any], token_type: TokenType, ttl_s: float) -> dict[str, Any]:
        ends_s = int(time.time() + ttl_s)
        return {
            f"{token_type}_token": jwt.encode({**claims, "exp": ends_s}, self._key, "RS256"),
            "expires_at": datetime.fromtimestamp(ends_s, UTC).isoformat(),
            "expires_in": int(ttl_s),
            "jti": claims["jti"],
        }

    def _new_jti(self, token_type: TokenType) -> str:
        """Return an id whose first eight digits count how often all tokens of the type were ended."""
        return f"{self._generations[token_type]:08x}{str(uuid.uuid4())[8:]}"


def _generation(jti: str) -> int:
    return int(jti[:8], 16)
