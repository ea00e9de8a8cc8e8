"""Serve applications over HTTP, from the first request to an orderly end."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import InvalidInputError
from shared.service.running import Service, State
from shared.settings import ServiceSettings

BACKLOG = 2048
"""Connections that may wait to be accepted."""

log = structlog.get_logger(__name__)


def run(app: FastAPI, settings: ServiceSettings) -> None:
    """Serve ``app`` until SIGTERM or Ctrl-C, then end in order; a second signal ends at once.

    Raises:
        InvalidInputError: The port is taken, or the address is not one of this machine.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(app, settings))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for a process that serves: uvloop, a third more requests, where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not for every platform
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def _run(app: FastAPI, settings: ServiceSettings) -> None:
    with stop_signals() as stop:
        async with serving(app, settings) as url:
            log.info("http.listening", url=url)
            await stop.wait()


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and Ctrl-C set; the second signal has the effect that it had before."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(_number: int, _frame: FrameType | None) -> None:
        restore()
        loop.call_soon_threadsafe(stop.set)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()


@asynccontextmanager
async def serving(app: FastAPI, settings: ServiceSettings) -> AsyncIterator[str]:
    """Serve ``app`` inside the block and yield its URL; several may be served in one event loop.

    Leaving the block drains the service while it still answers requests (``/readyz`` with 503), then closes
    the listener, waits for answers under way, and closes the resources.

    Raises:
        InvalidInputError: The port is taken, or the address is not one of this machine.
    """
    from shared.service.server import http_server  # noqa: PLC0415 - uvicorn, which ``flightline run`` needs not

    with _listener(settings) as listener:
        async with app.router.lifespan_context(app) as state:
            service: Service = app.state.service
            server = http_server(_with_state(app, state or {}))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[listener]), name=f"http {service.name}")
                try:
                    yield _url(settings.host, listener)
                    await service.drain()
                finally:
                    server.config.timeout_graceful_shutdown = max(1, math.ceil(service.grace_left_s))
                    server.should_exit = True


def _with_state(app: FastAPI, state: State) -> ASGIApp:
    async def stateful(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)

    return stateful


def _listener(settings: ServiceSettings) -> socket.socket:
    try:
        return _bound(settings.host, settings.port)
    except OSError as error:
        prefix = settings.model_config.get("env_prefix", "")
        raise InvalidInputError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error};"
            f" set {prefix}PORT or {prefix}HOST",
            field="port",
            value=settings.port,
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only on sockets that name TCP; without it every answer takes 40 ms
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
