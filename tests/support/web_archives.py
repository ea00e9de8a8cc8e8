"""Tasks of archives on the web or in the store, and the servers that they come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from odm_gateway.domain.tasks import Source, Task
from tests.support.gateway import GatewayClient, running_gateway

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Serve one answer on loopback and yield its URL."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/flight.zip"))


@asynccontextmanager
async def web_gateway(
    home: Path, answer: Answer, **settings: Any
) -> AsyncIterator[tuple[GatewayClient, str]]:
    """Run a gateway beside a server of one answer, and yield the latter's URL, too."""
    async with serving(answer) as url, running_gateway(home, allow_private_urls=True, **settings) as client:
        yield client, url


def sending(content: bytes) -> Answer:
    """Return an answer of this content."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content)

    return answer


async def ended(client: GatewayClient, **fields: Any) -> tuple[str, Any]:
    """Make a task and return its id, and its info at the end."""
    answer = await client.post("/task/new", json=fields)
    assert "uuid" in answer, answer
    return answer["uuid"], await client.finished(answer["uuid"])


async def stored_archive(client: GatewayClient, content: bytes, key: str = "inbox/flight.zip") -> str:
    """Store an archive and return its URI."""
    await client.platform.objects.put(key, content)
    return client.platform.objects.uri(key)


async def said_nothing(_: str) -> None:
    """Hear nothing of how far it is."""


def task_of(source: Source) -> Task:
    """Return a task whose files still have to be taken in."""
    return Task(
        id="t", created_at=datetime.now(UTC), inserted_us=0, images="uploads/t/archive", source=source
    )
