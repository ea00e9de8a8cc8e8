"""WebODM, and clients of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from discovery.adapters.webodm import WebODM, open_webodm
from tests.discovery.adapters.webodm.acting import PASSWORD, PATIENT, QUICK, SECRET, assets_zip
from tests.support.webodm import WebODMServer, webodm_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebODMServer]:
    async with webodm_server(tmp_path) as server:
        yield server


@pytest.fixture
async def webodm(server: WebODMServer) -> AsyncIterator[WebODM]:
    async with open_webodm(server.url, "pilot", SecretStr(PASSWORD), timeouts=PATIENT) as webodm:
        yield webodm


@pytest.fixture
async def hasty(server: WebODMServer) -> AsyncIterator[WebODM]:
    """A client that does not wait long."""
    async with open_webodm(server.url, "pilot", SecretStr(PASSWORD), timeouts=QUICK) as webodm:
        yield webodm


@pytest.fixture
async def results(unused_tcp_port: int) -> AsyncIterator[str]:
    """A URL that finished assets are fetched from, presigned."""

    async def answer(request: web.Request) -> web.Response:
        assert SECRET in request.query_string
        return web.Response(body=assets_zip())

    app = web.Application()
    app.router.add_get("/all.zip", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield f"http://127.0.0.1:{unused_tcp_port}/all.zip?{SECRET}"
    await runner.cleanup()
