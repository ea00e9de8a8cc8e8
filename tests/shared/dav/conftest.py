from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.dav import Dav, open_dav
from tests.support.dav_servers import RunningDav, running_dav


@pytest.fixture
async def dav(dav_server: RunningDav) -> AsyncIterator[Dav]:
    """Open each server, tried out."""
    async with open_dav(dav_server.place) as opened:
        await opened.probe("")
        yield opened


@pytest.fixture
async def nextcloud_dav(nextcloud: RunningDav) -> AsyncIterator[Dav]:
    """Open the Nextcloud simulator, tried out."""
    async with open_dav(nextcloud.place) as opened:
        await opened.probe("")
        yield opened


@pytest.fixture
async def lax_dav() -> AsyncIterator[tuple[Dav, RunningDav]]:
    """Open nginx, which ignores every precondition, tried out."""
    with running_dav("nginx") as server:
        async with open_dav(server.place) as opened:
            await opened.probe("")
            yield opened, server
