"""A gateway on embedded backends in a folder, with staged images, as its clients see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from odm_gateway.config import EngineKind, Settings
from odm_gateway.loops import TASKS
from odm_gateway.main import create_app
from odm_gateway.resources import SUBSCRIPTIONS
from shared.events import Event, TaskCompleted
from shared.messaging.port import Subscription
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform, open_platform
from shared.service.serving import serving
from shared.settings import PlatformSettings

LISTENER = Subscription("listener", TaskCompleted.type)
FAILED = 30
"""Codes from here on are ends."""
JPEG = b"\xff\xd8\xff\xe0 no real image \xff\xd9"


def opened_platform(home: Path) -> AbstractAsyncContextManager[Platform]:
    """Open embedded backends below ``home``, with a queue for the gateway's events."""
    return open_platform(PlatformSettings(home=home), (*SUBSCRIPTIONS, LISTENER))


async def stage_images(platform: Platform, prefix: str = "staging/flight", count: int = 3) -> str:
    """Put tiny images into the object store and return the URI of their prefix."""
    for number in range(count):
        await platform.objects.put(f"{prefix}/DJI_{number:04}.JPG", JPEG + bytes([number]))
    return platform.objects.uri(prefix)


async def completions(platform: Platform) -> list[Event[TaskCompleted]]:
    """Take every ``task-completed`` that was decided so far from the listener's queue."""
    await OutboxRelay(platform.transport, platform.store, [TASKS.name]).flush()
    told: list[Event[TaskCompleted]] = []
    async with platform.transport.consume(LISTENER.queue, prefetch=10) as deliveries:
        while await platform.transport.depth(LISTENER.queue):
            delivery = await anext(deliveries)
            await delivery.ack()
            told.append(Event[TaskCompleted].model_validate_json(delivery.message.body))
    return told


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """A client of the NodeODM API."""

    http: httpx.AsyncClient
    platform: Platform

    async def get(self, path: str, **more: Any) -> Any:
        """Return the JSON of a GET."""
        return (await self.http.get(path, **more)).json()

    async def post(self, path: str, **more: Any) -> Any:
        """Return the JSON of a POST."""
        return (await self.http.post(path, **more)).json()

    async def new_task(self, **fields: str) -> str:
        """Make a task of three staged images and return its id."""
        zipurl = await stage_images(self.platform)
        answer = await self.post("/task/new", data={"zipurl": zipurl, **fields})
        return str(answer["uuid"])

    async def finished(self, uuid: str, *, within_s: float = 60) -> Any:
        """Return a task's info once it is at its end."""
        deadline = time.monotonic() + within_s
        while (info := await self.get(f"/task/{uuid}/info"))["status"]["code"] < FAILED:
            assert time.monotonic() < deadline, info
            await asyncio.sleep(0.05)
        return info


@asynccontextmanager
async def running_gateway(home: Path, **settings: Any) -> AsyncIterator[GatewayClient]:
    """Run a gateway with the simulated engine on a free port."""
    chosen = Settings(**{"port": 0, "engine": EngineKind.SIMULATE, **settings})
    async with (
        opened_platform(home) as platform,
        serving(create_app(chosen, platform), chosen) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        yield GatewayClient(http, platform)
