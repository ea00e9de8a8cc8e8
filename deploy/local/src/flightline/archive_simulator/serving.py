"""A simulated archive on a port of loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from flightline.archive_simulator.archive import ArchiveSimulator, Fault
from flightline.archive_simulator.routes import ARCHIVE, FAULT, ROUTES, hang_up

SHUTDOWN_S = 0.2


@asynccontextmanager
async def serving_archive(
    archive: ArchiveSimulator | None = None, port: int = 0
) -> AsyncIterator[ArchiveSimulator]:
    """Serve an archive until the block ends; port 0 is any that is free."""
    archive = archive or ArchiveSimulator()
    app = web.Application(middlewares=[_play])
    app[ARCHIVE] = archive
    app.add_routes(ROUTES)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        archive.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield archive
    finally:
        await runner.cleanup()


@web.middleware
async def _play(request: web.Request, handler: Any) -> web.StreamResponse:
    archive = request.app[ARCHIVE]
    archive.asked[request.path.strip("/").split("/")[0]] += 1
    fault = archive.strike(request.path)
    match fault:
        case None:
            pass
        case Fault(kind="status"):
            headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            return web.json_response({"detail": "simulated"}, status=fault.status, headers=headers)
        case Fault(kind="hang" | "delay"):
            await asyncio.sleep(fault.seconds)
        case Fault(kind="reset"):
            hang_up(request)
            return web.Response()
        case Fault(kind="malformed"):
            return web.Response(text='{"results": [', content_type="application/json")
        case _:
            request[FAULT] = fault.kind
    response: web.StreamResponse = await handler(request)
    return response
