"""What may go wrong between a client and WebODM."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from aiohttp import web

Handler = Callable[[], Awaitable[web.StreamResponse]]


class Kind(StrEnum):
    """How it goes wrong."""

    STATUS = "status"
    """Nothing happens, and the answer is an error as a proxy would give it."""
    PAGE = "page"
    """Nothing happens, and the answer is somebody's web page, with status 200."""
    HANG = "hang"
    """Nothing happens, and nothing is answered."""
    SLOW = "slow"
    """It happens after a while, whether or not the client is still there."""
    CUT_BEFORE = "cut before"
    """The connection breaks, and nothing happens."""
    CUT_DURING = "cut during"
    """The connection breaks in the middle of the body."""
    CUT_AFTER = "cut after"
    """It happens, but the connection breaks before the answer."""
    EXPIRED = "expired"
    """All tokens end just before the request is looked at."""


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Fault:
    """Befalls the next ``times`` requests that fit; an empty method fits all."""

    kind: Kind
    method: str = ""
    path: str = ""
    times: int = 1
    status: int = 503
    retry_after_s: int | None = None
    location: str = ""
    text: str = "<html><body>the proxy's own words</body></html>"
    delay_s: float = 0.0
    until: asyncio.Event = field(default_factory=_set)
    """What is slow waits for it, too."""

    def fits(self, request: web.Request) -> bool:
        is_method = self.method in ("", request.method)
        return self.times > 0 and is_method and re.search(self.path, request.path) is not None


@dataclass(frozen=True)
class Call:
    """A request that was made, and what became of it."""

    method: str
    path: str
    query: dict[str, str]
    status: int | None
    """None: it was not answered."""


@dataclass
class Faults:
    """Lets requests pass, or not."""

    expire_tokens: Callable[[], None]
    planned: list[Fault] = field(default_factory=list)

    def plan(self, kind: Kind, method: str = "", **more: object) -> Fault:
        fault = Fault(kind, method, **more)  # type: ignore[arg-type]  # the fields of a fault
        self.planned.append(fault)
        return fault

    async def befall(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, with the first fault that fits."""
        fault = next((one for one in self.planned if one.fits(request)), None)
        if fault is None:
            return await handler()
        fault.times -= 1
        return await self._befall(fault, request, handler)

    async def _befall(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        match fault.kind:
            case Kind.STATUS | Kind.PAGE:
                return _page(fault)
            case Kind.HANG:
                await asyncio.sleep(3600)
            case Kind.SLOW:
                if request.content_type == "application/json":
                    await request.read()  # it is here already; the client may not be there any more then
                await asyncio.sleep(fault.delay_s)
                await fault.until.wait()
            case Kind.CUT_BEFORE | Kind.CUT_DURING | Kind.CUT_AFTER:
                await _cut(fault.kind, request, handler)
            case Kind.EXPIRED:
                self.expire_tokens()
        return await handler()


async def _cut(kind: Kind, request: web.Request, handler: Handler) -> NoReturn:
    if kind == Kind.CUT_DURING:
        await _half_of(request)
    if kind == Kind.CUT_AFTER:
        await handler()
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError


async def _half_of(request: web.Request) -> None:
    left_bytes = (request.content_length or 0) // 2
    while left_bytes > 0 and (chunk := await request.content.readany()):
        left_bytes -= len(chunk)


def _page(fault: Fault) -> web.Response:
    headers = {"Content-Type": "text/html"}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    if fault.location:
        headers["Location"] = fault.location
    status = fault.status if fault.kind == Kind.STATUS else 200
    return web.Response(status=status, text=fault.text, headers=headers)
