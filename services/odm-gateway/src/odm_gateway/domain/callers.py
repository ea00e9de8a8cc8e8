"""Who may ask what of the gateway."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_NAME = "default"
USER = "user:"
"""Begins the tenants of those who log in; no token's name does."""
TAPIS = "tapis:"
"""Begins the tenants of users of Tapis."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token, or anybody where no token is wanted."""

    name: str = ""
    """Whose tasks: the tenant."""
    sees_all: bool = False
    parent: str | None = None
    """The running task that asks for parts of itself: these are all that it sees and makes."""

    def sees(self, tenant: str, parent: str | None = None) -> bool:
        """Return whether tasks of ``tenant``, parts of ``parent``, are this caller's business."""
        if self.parent is not None:
            return parent == self.parent
        return self.sees_all or tenant == self.name


ANYBODY = Caller(sees_all=True)


@dataclass(frozen=True, slots=True)
class Key:
    """A token and who carries it."""

    token: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every token that the settings name; without one, anybody is let in where nobody can log in."""

    keys: tuple[Key, ...] = ()
    login: bool = False
    """Whether people log in and carry tokens of their own."""

    @classmethod
    def parse(cls, text: str, admins: Iterable[str] = (), *, login: bool = False) -> Keyring:
        """Return the keys of ``[NAME=]TOKEN,…``; one token alone, and admins, see the tasks of all.

        Raises:
            ValueError: A token or a name is missing or given twice, or an admin has no token.
        """
        pairs = [_named(item.strip()) for item in text.split(",") if item.strip()]
        names, tokens = [name for name, _ in pairs], [token for _, token in pairs]
        if len(set(names)) < len(names):
            raise ValueError("expected NAME=TOKEN,… with a name of its own for each token")
        if len(set(tokens)) < len(tokens):
            raise ValueError("expected tokens that differ")
        if any(name.startswith((USER, TAPIS)) for name in names):
            raise ValueError(f"expected names that begin neither with {USER} nor with {TAPIS}")
        if missing := set(admins) - set(names):
            raise ValueError(f"there is no token for {', '.join(sorted(missing))}")
        seeing = set(names) if len(pairs) == 1 else set(admins)
        keys = tuple(Key(token, Caller(name, sees_all=name in seeing)) for name, token in pairs)
        return cls(keys, login=login)

    def caller(self, token: str) -> Caller | None:
        """Return who carries ``token``, or None for nobody; how long that takes tells nothing."""
        if not self.keys and not self.login:
            return ANYBODY
        found = None
        for key in self.keys:
            if hmac.compare_digest(token.encode(), key.token.encode()):
                found = key.caller
        return found


def _named(item: str) -> tuple[str, str]:
    name, equals, token = item.partition("=")
    if not equals:
        name, token = DEFAULT_NAME, item
    if not name or not token:
        raise ValueError("expected [NAME=]TOKEN,…")
    return name, token
