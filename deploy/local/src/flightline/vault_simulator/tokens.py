"""Tokens, how long they are good, and what their policies allow."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flightline.vault_simulator.answers import RefusedError, denied, moment, unknown

ROOT = "root"
"""The policy that allows everything."""

_OWN = ("auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self", "sys/internal/ui/")
"""What the policy ``default`` allows, which all tokens have; writing, too."""


@dataclass(slots=True)
class Token:
    """A token; ``ttl_s`` of 0 is for ever."""

    id: str = field(repr=False)
    policies: tuple[str, ...]
    path: str
    ttl_s: int = 0
    longest_s: int = 0
    """After so long it cannot be renewed; 0: there is no end."""
    is_renewable: bool = False
    meta: dict[str, str] = field(default_factory=dict)
    accessor: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    created_s: float = field(default_factory=time.time)
    ends_s: float = math.inf

    @property
    def left_s(self) -> int:
        """Return for how long it is still good; 0 for one that is good for ever."""
        return max(0, math.ceil(self.ends_s - time.time())) if self.ends_s < math.inf else 0

    def extend(self, now_s: float) -> None:
        """Begin the lease anew, within what is allowed in all."""
        last_s = self.created_s + self.longest_s if self.longest_s else math.inf
        self.ends_s = min(now_s + self.ttl_s, last_s) if self.ttl_s else math.inf

    def auth(self) -> dict[str, Any]:
        """Return the block that a login or a renewal answers."""
        return {
            "client_token": self.id,
            "accessor": self.accessor,
            "policies": list(self.policies),
            "token_policies": list(self.policies),
            "metadata": self.meta or None,
            "lease_duration": self.left_s,
            "renewable": self.is_renewable,
            "entity_id": "",
            "token_type": "service",
            "orphan": True,
            "mfa_requirement": None,
            "num_uses": 0,
        }

    def document(self) -> dict[str, Any]:
        """Return what a token may know of itself."""
        return {
            "accessor": self.accessor,
            "creation_time": int(self.created_s),
            "creation_ttl": self.ttl_s,
            "display_name": self.path.split("/")[1],
            "entity_id": "",
            "expire_time": moment(self.ends_s) if self.ends_s < math.inf else None,
            "explicit_max_ttl": 0,
            "id": self.id,
            "meta": self.meta or None,
            "num_uses": 0,
            "orphan": True,
            "path": self.path,
            "policies": list(self.policies),
            "renewable": self.is_renewable,
            "ttl": self.left_s,
            "type": "service",
        }


class Tokens:
    """All tokens, and the policies that they name: prefixes of paths that may be read."""

    def __init__(self) -> None:
        self.policies: dict[str, tuple[str, ...]] = {"default": _OWN}
        self._by_id: dict[str, Token] = {}

    def issue(self, token_id: str | None = None, **facts: Any) -> Token:
        """Make a token, with an id of its own if none is given."""
        token = Token(token_id or f"hvs.{secrets.token_urlsafe(24)}", **facts)
        token.extend(token.created_s)
        self._by_id[token.id] = token
        return token

    def check(self, token_id: str, path: str, *, is_write: bool = False) -> Token:
        """Return the token that a request carries, if it may do what it asks for.

        Raises:
            RefusedError: It is none, over, or may not.
        """
        token = self._by_id.get(token_id)
        if token is None or token.ends_s <= time.time():
            raise unknown()
        if ROOT not in token.policies and not path.startswith(_OWN if is_write else self.allowed(token)):
            raise denied()
        return token

    def allowed(self, token: Token) -> tuple[str, ...]:
        """Return the prefixes of what a token may do."""
        return tuple(prefix for name in token.policies for prefix in self.policies.get(name, ()))

    def renew(self, token: Token) -> Token:
        """Begin a token's lease anew.

        Raises:
            RefusedError: It is not renewable.
        """
        if not token.is_renewable:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "lease is not renewable")
        token.extend(time.time())
        return token

    def revoke(self, token: Token) -> None:
        """Make a token count no longer."""
        self._by_id.pop(token.id, None)

    def end_all(self, *, but: Iterable[str] = (ROOT,)) -> int:
        """Make tokens count no longer, unless they have one of some policies; return how many."""
        spared = set(but)
        gone = [token for token in self._by_id.values() if not spared & set(token.policies)]
        for token in gone:
            self.revoke(token)
        return len(gone)

    @property
    def alive(self) -> int:
        """Return how many tokens are good now, those of root too."""
        return sum(token.ends_s > time.time() for token in self._by_id.values())
