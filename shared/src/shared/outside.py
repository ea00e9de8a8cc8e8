"""HTTP to places that a stranger names: only public addresses are connected to, however they are named."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from typing_extensions import override

from shared.errors import InvalidInputError
from shared.tracing.calls import watched

CONNECTIONS_AT_MOST = 16

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")


@asynccontextmanager
async def outside_session(
    *,
    allow_private: bool,
    connect_s: float = 15,
    read_s: float = 60,
    total_s: float | None = None,
    is_allowed: Callable[[str], bool] | None = None,
    connections: int = CONNECTIONS_AT_MOST,
) -> AsyncIterator[ClientSession]:
    """Open a session for URLs that others chose; a request to a private address is an ``InvalidInputError``.

    The address that was checked is the one that is connected to, so that a name which resolves to something
    else a moment later wins nothing. Redirects are checked like first requests. Proxies of the environment
    are not used, and no cookies are kept.

    Args:
        allow_private: Whether loopback and private addresses may be reached, too.
        connect_s: How long to wait for a connection.
        read_s: How long to wait for the next bytes.
        total_s: How long a whole exchange may take; None: as long as bytes keep coming.
        is_allowed: Which addresses may be reached, where it is not all or the public ones.
        connections: How many there may be at once; waiting for one counts as waiting for a connection.
    """
    guard = Guard(is_allowed) if is_allowed else guard_of(allow_private=allow_private)
    connector = TCPConnector(
        resolver=_CheckedResolver(guard),
        use_dns_cache=False,
        limit=connections,
    )
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=total_s, connect=connect_s, sock_connect=connect_s, sock_read=read_s),
        middlewares=(guard, watched("web")),
    ) as session:
        yield session


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet's, and stays so behind IPv6's disguises."""
    try:
        found = _undisguised(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address) and found in _SHARED:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.is_site_local:
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _undisguised(address: Address) -> Address:
    """Return the IPv4 address that packets to an IPv6 address may end at, or else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _anything(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets requests pass to allowed addresses only."""

    is_allowed: Callable[[str], bool]

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Check hosts that are addresses already: no resolver is asked for them."""
        host = (request.url.host or "").rstrip(".")
        if _is_address(host) or _is_number(host):
            self.allowed(host, [host])
        return await handler(request)

    def allowed(self, host: str, addresses: Iterable[str]) -> set[str]:
        """Return those of a host's addresses that may be connected to.

        Raises:
            InvalidInputError: There are none.
        """
        found = {address for address in addresses if self.is_allowed(address)}
        if not found:
            raise InvalidInputError(
                f"{host} is not a public address; only an operator can allow private ones", field="url"
            )
        return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_number(host: str) -> bool:
    """Return whether the system may take ``host`` for an address, as it does ``127.1``, before it asks us."""
    return host.replace(".", "").isdigit()


def guard_of(*, allow_private: bool) -> Guard:
    """Return who lets requests pass to any address, or to public ones."""
    return Guard(_anything if allow_private else is_public)


class _CheckedResolver(AbstractResolver):
    """Knows the allowed addresses of names, and no others."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._resolver = DefaultResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = self._guard.allowed(host, [result["host"] for result in found])
        return [result for result in found if result["host"] in allowed]

    @override
    async def close(self) -> None:
        await self._resolver.close()
