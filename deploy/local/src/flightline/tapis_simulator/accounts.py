"""Users, OAuth clients, sessions of browsers, and the codes that a login hands out."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from flightline.tapis_simulator.answers import RefusedError

T = TypeVar("T")

CODE_TTL_S = 606.0
DEVICE_TTL_S = 600.0
_SESSION_TTL_S = 3600.0
_MOST_KEPT = 10_000


@dataclass(slots=True)
class Client:
    """An application that may ask for tokens."""

    client_id: str
    client_key: str = field(repr=False)
    owner: str
    callback_url: str = ""
    display_name: str = ""
    description: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def document(self, tenant: str) -> dict[str, Any]:
        """Return the client as the API tells it to its owner."""
        return {
            "client_id": self.client_id,
            "client_key": self.client_key,
            "owner": self.owner,
            "callback_url": self.callback_url,
            "display_name": self.display_name,
            "description": self.description,
            "tenant_id": tenant,
            "active": True,
            "create_time": self.created,
            "last_update_time": self.created,
        }


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code: who said yes to which client, and where it was sent."""

    username: str
    client_id: str
    redirect_uri: str


@dataclass(slots=True)
class Device:
    """A device that waits for a user to type its code in."""

    client_id: str
    user_code: str
    username: str | None = None


class Kept(Generic[T]):
    """Things under names nobody can guess, each for a while; the oldest go when there are too many."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def keep(self, thing: T, name: str | None = None) -> str:
        """Keep a thing and return its name."""
        name = name or secrets.token_urlsafe(24)
        self._kept[name] = (time.monotonic() + self._ttl_s, thing)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> T | None:
        """Return a thing whose time is not over."""
        ends, thing = self._kept.get(name, (0.0, None))
        return thing if ends > time.monotonic() else None

    def take(self, name: str) -> T | None:
        """Return a thing for the last time."""
        thing = self.get(name)
        self._kept.pop(name, None)
        return thing

    def all(self) -> list[T]:
        """Return everything that is kept."""
        return [thing for name in list(self._kept) if (thing := self.get(name)) is not None]


class Accounts:
    """Who may log in, and through what."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self.clients: dict[str, Client] = {}
        self.sessions: Kept[str] = Kept(_SESSION_TTL_S)
        self.codes: Kept[Code] = Kept(CODE_TTL_S)
        self.devices: Kept[Device] = Kept(DEVICE_TTL_S)

    def add_user(self, username: str, password: str) -> None:
        """Let somebody log in."""
        self.passwords[username] = password

    def add_client(
        self, owner: str, *, client_id: str = "", client_key: str = "", callback_url: str = "", **more: str
    ) -> Client:
        """Register a client; what is not given is made up.

        Raises:
            RefusedError: There is one of that id, or there are too many.
        """
        client_id = client_id or secrets.token_urlsafe(9)
        if client_id in self.clients:
            raise RefusedError(400, "This client_id is already in use. Please choose a different client_id.")
        if len(self.clients) >= _MOST_KEPT:
            raise RefusedError(400, "The simulator keeps no more clients.")
        key = client_key or secrets.token_urlsafe(24)
        client = Client(client_id, key, owner, callback_url, **more)
        self.clients[client_id] = client
        return client

    def check_password(self, username: str, password: str) -> None:
        """Refuse a wrong password."""
        known = self.passwords.get(username)
        if known is None or not hmac.compare_digest(known.encode(), password.encode()):
            raise RefusedError(400, "Invalid username/password combination.")

    def check_client(self, client_id: str, client_key: str) -> Client:
        """Return the client, or refuse as Tapis does: with the key in the message."""
        client = self.clients.get(client_id)
        if client is None or not hmac.compare_digest(client.client_key.encode(), client_key.encode()):
            raise RefusedError(400, f"Invalid client credentials: {client_id}, {client_key}.")
        return client
