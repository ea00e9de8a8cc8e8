"""The HTTP server, uvicorn, as our services want it; imported only where something is served."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from shared.rhythm import until_next_s

KEEP_ALIVE_S = 65
"""Longer than the idle timeout of common load balancers (60 s), which else would race against our closing."""


LOOK_EVERY_S = 1.0
"""How often the date that answers carry is brought up to date."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us, and wakes once a second rather than ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._exits = asyncio.Event()
        super().__init__(config)

    @property  # type: ignore[explicit-override]  # not seen where there is a setter
    @override
    def should_exit(self) -> bool:
        """Return whether it was told to end."""
        return self._exits.is_set()

    @should_exit.setter
    def should_exit(self, exits: bool) -> None:
        if exits:
            self._exits.set()

    @override
    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(until_next_s(LOOK_EVERY_S)):
                    await self._exits.wait()

    @override
    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # narrower than a generator
        return nullcontext()


def http_server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for ``app`` that does not run yet."""
    return _Server(
        uvicorn.Config(
            app,
            lifespan="off",  # ours, so that its errors reach the caller
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
