"""A simulator on a port of loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from flightline.tapis_simulator.app import create_app
from flightline.tapis_simulator.tapis import Tapis

_HOST = "127.0.0.1"
_GRACE_S = 0.5
_BACKLOG = 1024


@asynccontextmanager
async def serving(tapis: Tapis, port: int = 0) -> AsyncIterator[str]:
    """Serve ``tapis`` until the block ends, and return its URL; port 0 is any that is free."""
    runner = web.AppRunner(
        create_app(tapis), access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, port, backlog=_BACKLOG).start()
        tapis.at(f"http://{_HOST}:{runner.addresses[0][1]}")
        yield tapis.base_url
    finally:
        await runner.cleanup()
