from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.platform import Platform
from tests.support.gateway import GatewayClient, opened_platform, running_gateway


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with opened_platform(tmp_path) as platform:
        yield platform


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayClient]:
    async with running_gateway(tmp_path) as client:
        yield client
