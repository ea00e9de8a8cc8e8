"""A file on its way from Tapis."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import ClientResponse

from shared.errors import TransientError
from shared.sources.pace import Pace, paced
from shared.tapis.throttle import Throttle


async def chunks(answer: ClientResponse, where: str, pace: Pace, throttle: Throttle) -> AsyncIterator[bytes]:
    """Yield the body; where it comes badly, less is asked for at a time."""
    try:
        async for chunk in paced(answer.content.readany, where, pace):
            yield chunk
    except TransientError:
        throttle.slowed(0)
        raise
