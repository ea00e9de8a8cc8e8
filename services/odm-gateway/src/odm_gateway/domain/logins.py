"""Users: which names and passwords there are, and how often one may guess."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from pydantic import AwareDatetime, BaseModel, ConfigDict

from odm_gateway.domain.callers import USER, Caller
from shared.errors import InvalidInputError

PASSWORD_AT_LEAST_CHARACTERS = 8
PASSWORD_AT_MOST_CHARACTERS = 1000
PASSES = 3
"""With 32 MiB, OWASP's least for scrypt."""
NAMES_AT_MOST = 10_000
"""Names whose failures are remembered; then the oldest is forgotten."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")


class User(BaseModel):
    """Somebody who can log in; the name is the document's."""

    model_config = ConfigDict(frozen=True)

    salt: str
    password_hash: str
    passes: int = 1
    """scrypt's ``p`` when the password was hashed."""
    created_at: AwareDatetime


class Login(BaseModel):
    """A token that was given; its hash is the document's name."""

    model_config = ConfigDict(frozen=True)

    user: str
    expires_at: AwareDatetime


def user_name(raw: str) -> str:
    """Return a user's name in the letters that count.

    Raises:
        InvalidInputError: Nobody can have this name.
    """
    name = raw.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "username must be 1 to 64 letters, digits or . _ @ + -, with a letter or digit at both ends",
            field="username",
        )
    return name


def check_password(password: str) -> None:
    """Raise ``InvalidInputError`` unless ``password`` may be chosen."""
    if not PASSWORD_AT_LEAST_CHARACTERS <= len(password) <= PASSWORD_AT_MOST_CHARACTERS:
        raise InvalidInputError(
            f"password must have {PASSWORD_AT_LEAST_CHARACTERS} to {PASSWORD_AT_MOST_CHARACTERS} characters",
            field="password",
        )


def password_hash(password: str, salt: bytes, passes: int = PASSES) -> bytes:
    """Return the slow hash of a password (scrypt, RFC 7914): 32 MiB of memory and some 100 ms a pass."""
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=2**15,
        r=8,
        p=passes,
        maxmem=64 << 20,
        dklen=32,
    )


def token_key(token: str) -> str:
    """Return the name of a token's document: the token itself is not kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def caller_of_user(name: str) -> Caller:
    """Return a user as a caller: one that sees its own tasks."""
    return Caller(USER + name)


@dataclass(slots=True)
class Throttle:
    """Counts what happened under each name in the last while."""

    at_most: int
    per_s: float
    _times: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def is_closed(self, name: str, now_s: float) -> bool:
        """Return whether there was too much of it under ``name``."""
        times = self._times.get(name)
        return times is not None and len(times) == self.at_most and now_s - times[0] < self.per_s

    def count(self, name: str, now_s: float) -> None:
        """Remember that it happened."""
        times = self._times.setdefault(name, deque(maxlen=self.at_most))
        times.append(now_s)
        self._times.move_to_end(name)
        if len(self._times) > NAMES_AT_MOST:
            self._times.popitem(last=False)

    def forget(self, name: str) -> None:
        """Count from the beginning."""
        self._times.pop(name, None)
