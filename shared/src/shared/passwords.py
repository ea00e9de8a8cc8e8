"""Passwords and tokens of users whom a service keeps itself, and how often one may guess."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from shared.turns import Turns

PASSWORD_AT_LEAST_CHARACTERS = 8
PASSWORD_AT_MOST_CHARACTERS = 1000
PASSES = 3
"""With 32 MiB, OWASP's least for scrypt."""
NAMES_AT_MOST = 10_000
"""Names under which something is counted; then the oldest is forgotten."""
HASHES_AT_ONCE = 2
"""Each takes a core and 32 MiB."""
HASHES_WAITING = 32
_SALT_BYTES = 16
_NOBODYS_SALT = bytes(_SALT_BYTES)


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


class Kept(Protocol):
    """What is kept of a password."""

    @property
    def salt(self) -> str:
        """In hexadecimal digits, as the hash."""

    @property
    def password_hash(self) -> str:
        """Of :func:`password_hash`."""

    @property
    def passes(self) -> int:
        """Of scrypt (its ``p``), when it was hashed."""


class Hashed(NamedTuple):
    """What is kept of a new password."""

    salt: str
    password_hash: str
    passes: int


@dataclass(slots=True)
class Hashing:
    """Hashes passwords in threads, few at a time: whoever may guess must not have all cores and memory."""

    _turns: Turns = field(
        default_factory=lambda: Turns(HASHES_AT_ONCE, HASHES_WAITING, "Too many logins at once.")
    )

    async def hashed(self, password: str) -> Hashed:
        """Return what to keep of a new password.

        Raises:
            TransientError: Too many are hashed.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        return Hashed(salt.hex(), (await self._hash(password, salt, PASSES)).hex(), PASSES)

    async def is_password(self, password: str, kept: Kept | None) -> bool:
        """Return whether it is the password that this was kept of; None: of nobody's, which takes as long.

        Raises:
            TransientError: Too many are hashed.
        """
        salt = bytes.fromhex(kept.salt) if kept else _NOBODYS_SALT
        shown = password[: PASSWORD_AT_MOST_CHARACTERS + 1]
        hashed = await self._hash(shown, salt, kept.passes if kept else PASSES)
        return hmac.compare_digest(hashed, bytes.fromhex(kept.password_hash) if kept else b"")

    async def _hash(self, password: str, salt: bytes, passes: int) -> bytes:
        async with self._turns.turn():
            return await asyncio.to_thread(password_hash, password, salt, passes)


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
