"""An endless answer: server-sent events to one client, which is let go when it is gone or too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

log = structlog.get_logger()

SEND_WITHIN_S = 30.0
"""A client that takes nothing for so long is gone."""
END_WITHIN_S = 1.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Sends frames until they end, the client leaves, or the service does."""

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        draining: asyncio.Event,
        *,
        send_within_s: float = SEND_WITHIN_S,
    ) -> None:
        super().__init__(frames, headers=HEADERS, media_type="text/event-stream")
        self._frames = frames
        self._draining = draining
        self._send_within_s = send_within_s

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(send), name="event stream")
        others = (asyncio.create_task(_gone(receive)), asyncio.create_task(_set(self._draining)))
        try:
            await asyncio.wait((pump, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (pump, *others):
                task.cancel()
            await asyncio.gather(pump, *others, return_exceptions=True)
            await self._frames.aclose()
        if not pump.cancelled() and (error := pump.exception()):
            log.warning("stream.broken", error=f"{type(error).__name__}: {error}")
        with suppress(TimeoutError):  # else the connection is closed without an end
            async with asyncio.timeout(END_WITHIN_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async for frame in self._frames:
            async with asyncio.timeout(self._send_within_s):
                await send({"type": "http.response.body", "body": frame, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()
