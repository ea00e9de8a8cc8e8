"""Between the network and the routes: counting, latency, sessions, and the faults that strike."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from flightline.tapis_simulator.answers import RefusedError
from flightline.tapis_simulator.asking import FAULTS, TAPIS, call_of, wants
from flightline.tapis_simulator.calls import Call
from flightline.tapis_simulator.faults import Fault
from flightline.tapis_simulator.tapis import Tapis
from flightline.tapis_simulator.wire import Body, end_connection, send

CONTROL = "/simulator/"
_GONE = 0
_log = logging.getLogger(__name__)
_SLOW_SERVICES = ("/v3/systems", "/v3/files")
_AUTHENTICATION_TEXT = "TAPIS_SECURITY_JWT_PARSE_ERROR Unable to validate the JWT."


@web.middleware
async def play(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer one request, or let it go wrong as the rules want it."""
    if request.path.startswith(CONTROL):
        return await handler(request)
    tapis, call = request.app[TAPIS], call_of(request)
    request[FAULTS] = tapis.faults.strike(call)
    try:
        with tapis.calls.counted(call):
            response = await _answer(request, handler, tapis, call)
    except ConnectionError:  # ended by a fault, or by the client
        tapis.calls.statuses[call.operation, _GONE] += 1
        return web.Response()  # which nobody gets
    tapis.calls.statuses[call.operation, response.status] += 1
    return response


async def _answer(request: web.Request, handler: Handler, tapis: Tapis, call: Call) -> web.StreamResponse:
    try:
        with _session(request, tapis, call):
            await _be_slow(request, tapis, call)
            for fault in request[FAULTS]:
                await _strike(request, tapis, fault)
            response = await handler(request)
    except RefusedError as refusal:
        response = refusal.answer(request.path)
    if isinstance(response, web.Response):
        return await _spoilt(request, response)
    return response


async def _be_slow(request: web.Request, tapis: Tapis, call: Call) -> None:
    system = tapis.systems.get(call.system)
    latency_s = tapis.pace.latency_s if request.path.startswith(_SLOW_SERVICES) else 0
    latency_s += system.latency_s if system else 0
    if latency_s:
        await asyncio.sleep(latency_s)


async def _strike(request: web.Request, tapis: Tapis, fault: Fault) -> None:
    """Let the fault happen if it is one that comes before the answer."""
    match fault.kind:
        case "status":
            raise _refusal(fault)
        case "hang" | "delay":
            await asyncio.sleep(fault.seconds)
            if fault.kind == "hang":
                end_connection(request, at_once=True)
        case "reset":
            end_connection(request, at_once=True)
        case "expire_tokens":
            tapis.issuer.end_all("access")
        case "revoke_refresh":
            tapis.issuer.end_all("refresh")
        case _:
            _log.debug("left to the route: %s", fault.kind)


def _refusal(fault: Fault) -> RefusedError:
    if fault.status == web.HTTPUnauthorized.status_code:
        return RefusedError(401, fault.message or _AUTHENTICATION_TEXT, is_text=True)
    message = fault.message or f"SIMULATED_FAULT {fault.status}"
    return RefusedError(fault.status, message, retry_after_s=fault.retry_after_s)


@contextmanager
def _session(request: web.Request, tapis: Tapis, call: Call) -> Iterator[None]:
    """Take one of the sessions that the system's host can bear, or refuse if it bears no more."""
    system = tapis.systems.get(call.system)
    if system is None or not request.path.startswith("/v3/files"):
        yield
        return
    if system.max_sessions is not None and system.sessions >= system.max_sessions:
        message = f"FILES_CLIENT_SSH_CONN Too many sessions. System: {system.id}"
        raise RefusedError(system.busy_status, message, retry_after_s=system.busy_retry_after_s)
    system.sessions += 1
    try:
        yield
    finally:
        system.sessions -= 1


async def _spoilt(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send a whole answer over the wire as faults want it, if any does."""
    body = response.body if isinstance(response.body, bytes) else b""
    if wants(request, "malformed"):
        response.body = body[: len(body) // 2]
    if response.status == web.HTTPOk.status_code and wants(request, "drip", "cut", "eof"):
        return await send(request, _whole(body), {"Content-Type": response.headers["Content-Type"]})
    return response


async def _whole(body: bytes) -> Body:
    yield body
