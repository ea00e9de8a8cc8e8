"""Users and their tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.webodm.refusals import RefusedError, invalid_field

SIX_HOURS_S = 6 * 3600.0
_WRONG = "Unable to log in with provided credentials."
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass
class User:
    """Somebody who can log in; the permissions are those that hold for all projects."""

    name: str
    password: str
    permissions: set[str] = field(default_factory=lambda: {"add_project"})
    is_superuser: bool = False


@dataclass
class Accounts:
    """Gives tokens and knows them again."""

    token_lives_s: float = SIX_HOURS_S
    refusal_status: int = 403
    """WebODM tries the session cookie first, which makes a bad token a 403; other settings make it a 401."""
    users: dict[str, User] = field(default_factory=dict)
    logins: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _generation: int = 0

    def add(self, user: User) -> User:
        self.users[user.name] = user
        return user

    def expire_tokens(self) -> None:
        """Let every token that was given end now."""
        self._generation += 1

    def log_in(self, fields: dict[str, Any]) -> str:
        for name in ("username", "password"):
            if not fields.get(name):
                raise invalid_field(name, "This field is required.")
        user = self._user(str(fields["username"]), str(fields["password"]))
        if user is None:
            raise invalid_field("non_field_errors", _WRONG)
        self.logins += 1
        return self._token(user)

    def caller(self, request: web.Request) -> User:
        """Return who asks.

        Raises:
            RefusedError: Nobody who is known, or no longer.
        """
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            return self._basic(value)
        token = value if kind.upper() == "JWT" else request.query.get("jwt", "")
        if not token:
            raise self._refused("Authentication credentials were not provided.")
        return self._known(token)

    def _basic(self, value: str) -> User:
        try:
            name, _, password = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise self._refused("Invalid basic header.") from None
        if (user := self._user(name, password)) is None:
            raise self._refused("Invalid username/password.")
        return user

    def _user(self, name: str, password: str) -> User | None:
        user = self.users.get(name)
        return user if user and hmac.compare_digest(user.password, password) else None

    def _token(self, user: User) -> str:
        payload = {
            "username": user.name, "exp": time.time() + self.token_lives_s, "jti": secrets.token_hex(8),
            "generation": self._generation,
        }  # fmt: skip
        signed = f"{_encoded(json.dumps(_HEADER).encode())}.{_encoded(json.dumps(payload).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def _known(self, token: str) -> User:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise self._refused("Error decoding signature.")
        payload = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        if payload["exp"] < time.time() or payload["generation"] != self._generation:
            raise self._refused("Signature has expired.")
        if (user := self.users.get(payload["username"])) is None:
            raise self._refused("Invalid signature.")
        return user

    def _signature(self, signed: str) -> str:
        return _encoded(hmac.digest(self._secret, signed.encode(), hashlib.sha256))

    def _refused(self, text: str) -> RefusedError:
        return RefusedError(self.refusal_status, {"detail": text})


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
