"""Who may ask what of the gateway."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token, or anybody where no token is wanted."""

    name: str = ""
    """Whose tasks: the tenant."""
    sees_all: bool = False

    def sees(self, tenant: str) -> bool:
        """Return whether tasks of ``tenant`` are this caller's business."""
        return self.sees_all or tenant == self.name


ANYBODY = Caller(sees_all=True)


@dataclass(frozen=True, slots=True)
class Key:
    """A token and who carries it."""

    token: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every token that the settings name; without one, anybody is let in."""

    keys: tuple[Key, ...] = ()

    @classmethod
    def parse(cls, text: str, admins: Iterable[str] = ()) -> Keyring:
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
        if missing := set(admins) - set(names):
            raise ValueError(f"there is no token for {', '.join(sorted(missing))}")
        seeing = set(names) if len(pairs) == 1 else set(admins)
        return cls(tuple(Key(token, Caller(name, sees_all=name in seeing)) for name, token in pairs))

    def caller(self, token: str) -> Caller | None:
        """Return who carries ``token``, or None for nobody; how long that takes tells nothing."""
        if not self.keys:
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
