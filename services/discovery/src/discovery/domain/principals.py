"""Who asks, and what they show to prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

SESSION_COOKIE = "flightline_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who is known."""

    owner: str
    """``username@tenant``; empty: the service itself, or its operator, whom nothing is hidden from."""

    @property
    def is_service(self) -> bool:
        """Return whether everybody's flights may be seen."""
        return not self.owner

    @property
    def sees(self) -> str | None:
        """Return whose flights alone may be seen; None: all."""
        return self.owner or None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request shows."""

    kind: Literal["token", "session"]
    secret: str


def credential(headers: Mapping[str, str], cookies: Mapping[str, str]) -> Credential | None:
    """Return what a request shows; what somebody put there on purpose counts before a cookie."""
    if token := headers.get("x-tapis-token", "").strip():
        return Credential("token", token)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "jwt") and token.strip():
        return Credential("token", token.strip())
    if session := cookies.get(SESSION_COOKIE):
        return Credential("session", session)
    return None


def is_own_page(headers: Mapping[str, str], own_origins: frozenset[str]) -> bool:
    """Return whether a request of a browser comes from a page of ours, or from no page.

    What a browser sends by itself, such as a cookie, proves who asks, not that they want to; pages of others
    are told by ``Origin``, or by ``Sec-Fetch-Site`` where a browser has it.
    """
    if origin := headers.get("origin"):
        return origin.lower() in own_origins
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def origins_of(host: str, public_url: str | None, allowed: tuple[str, ...]) -> frozenset[str]:
    """Return the origins whose pages are ours.

    Args:
        host: The ``Host`` header; used where no public URL is set.
        public_url: Where browsers reach the service.
        allowed: Further origins that the operator trusts.
    """
    own = origin_of(public_url) if public_url else None
    names = {own} if own else {f"http://{host}".lower(), f"https://{host}".lower()}
    return frozenset(names | {origin.lower() for origin in allowed})


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
