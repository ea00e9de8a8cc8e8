"""A server that webhooks are sent to, and what it heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    payload: Any


@dataclass(slots=True)
class Receiver:
    """Remembers every request, and answers 200 unless told otherwise."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; then all are 200."""

    async def hear(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.path, headers, await request.read(), await request.json()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def wait(self, count: int, *, path: str | None = None, within_s: float = 60) -> list[Heard]:
        """Return what was heard once there is as much of it."""
        async with asyncio.timeout(within_s):
            while len(found := [one for one in self.heard if path in (None, one.path)]) < count:
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port of loopback."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
