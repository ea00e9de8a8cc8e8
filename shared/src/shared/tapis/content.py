"""A file on its way from Tapis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiohttp import ClientError, ClientResponse

from shared.errors import TransientError
from shared.sources.pace import Pace
from shared.tapis.throttle import Throttle


async def chunks(answer: ClientResponse, where: str, pace: Pace, throttle: Throttle) -> AsyncIterator[bytes]:
    """Yield the body; only the time that we wait for it counts for its pace."""
    received_bytes, waited_s = 0, 0.0
    while True:
        begun_s = time.monotonic()
        try:
            chunk = await answer.content.readany()
        except (ClientError, TimeoutError, OSError) as error:
            throttle.slowed(0)
            raise TransientError(
                f"{where} broke off after {received_bytes} bytes ({type(error).__name__})"
            ) from None
        if not chunk:
            return
        received_bytes += len(chunk)
        waited_s += time.monotonic() - begun_s
        if pace.is_too_slow(received_bytes, waited_s):
            throttle.slowed(0)
            raise TransientError(f"{where} comes too slowly: {received_bytes} bytes in {waited_s:.0f} s")
        yield chunk
