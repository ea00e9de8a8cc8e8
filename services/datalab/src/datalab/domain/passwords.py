"""Names, passwords and tokens of users, and how often one may guess."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from shared.errors import InvalidInputError

PASSWORD_AT_LEAST_CHARACTERS = 8
PASSWORD_AT_MOST_CHARACTERS = 1000
TOKEN_AT_LEAST_CHARACTERS = 16
TOKEN_AT_MOST_CHARACTERS = 4096
PASSES = 3
"""With 32 MiB, OWASP's least for scrypt."""
NAMES_AT_MOST = 10_000
"""Names whose failures are remembered; then the oldest is forgotten."""

_NAME = re.compile(r"[\w.@+-]{1,150}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


def user_name(name: str) -> str:
    """Return ``name`` if a user can have it.

    Raises:
        InvalidInputError: Nobody can.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A user's name is 1 to 150 letters, digits and @ . + - _", field="username", value=name
        )
    return name


def check_password(password: str) -> None:
    """Raise ``InvalidInputError`` unless ``password`` may be chosen."""
    if not PASSWORD_AT_LEAST_CHARACTERS <= len(password) <= PASSWORD_AT_MOST_CHARACTERS:
        raise InvalidInputError(
            f"A password has {PASSWORD_AT_LEAST_CHARACTERS} to {PASSWORD_AT_MOST_CHARACTERS} characters",
            field="password",
        )


def check_token(token: str) -> None:
    """Raise ``InvalidInputError`` unless ``token`` may be somebody's."""
    if not _TOKEN.fullmatch(token) or not (
        TOKEN_AT_LEAST_CHARACTERS <= len(token) <= TOKEN_AT_MOST_CHARACTERS
    ):
        raise InvalidInputError(
            f"A token is {TOKEN_AT_LEAST_CHARACTERS} to {TOKEN_AT_MOST_CHARACTERS} printable ASCII characters"
            " without blanks",
            field="token",
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
    """Return the name of a token's document."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


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
