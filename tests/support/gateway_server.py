"""The gateway as its users run it: a process of its own, to be measured, and killed at any moment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.support.processes import free_port
from tests.support.zygote import Child, Zygote


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers."""

    child: Child
    http: httpx.AsyncClient

    @property
    def process(self) -> psutil.Process:
        """Return it as the system sees it."""
        return psutil.Process(self.child.pid)

    def kill(self) -> None:
        """End it as a lost machine would."""
        self.child.strike()


@dataclass(frozen=True)
class GatewayServer:
    """``odm-gateway`` with the simulated engine and all that it keeps in one folder."""

    parent: Zygote
    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RunningServer]:
        """Run it until the block ends, if it is not killed before."""
        port = free_port()
        ours = {"FLIGHTLINE_HOME": str(self.home), "ODM_GATEWAY_ENGINE": "simulate"}
        environment = {**os.environ, **ours, "ODM_GATEWAY_PORT": str(port), **self.settings}
        log = self.home.with_suffix(".log")
        child = self.parent.start("odm_gateway.main:run", ["odm-gateway"], environment, log)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                async with asyncio.timeout(60):
                    while not await _answers(client):
                        await asyncio.sleep(0.1)
                yield RunningServer(child, client)
        finally:
            try:
                await asyncio.to_thread(child.end)
            finally:
                child.close()


async def _answers(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/info")).is_success
    return False
