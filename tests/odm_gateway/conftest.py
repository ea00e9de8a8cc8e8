from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.platform import Platform
from tests.support.gateway import GatewayClient, opened_platform, running_gateway
from tests.support.zygote import Zygote, zygote


@pytest.fixture(scope="session")
def forking() -> Iterator[Zygote]:
    """Have a process that has imported what gateways need, for those that are killed."""
    with zygote("odm_gateway.main", "odm_gateway.resources", "tests.support.gateway_process") as parent:
        yield parent


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with opened_platform(tmp_path) as platform:
        yield platform


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayClient]:
    async with running_gateway(tmp_path) as client:
        yield client
