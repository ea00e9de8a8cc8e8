"""Where the suite runs: on a simulated cluster; what takes a ``corner``, on a real one, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from odm_gateway.config import EngineKind
from shared.platform import Platform
from tests.support.gateway import GatewayClient, running_gateway
from tests.support.kubernetes.cluster import SimulatedCluster, simulated_cluster, write_kubeconfig
from tests.support.kubernetes.corner import Corner, open_corner, real_kubeconfig


class RunGateway(Protocol):
    """Starts gateways that work with the cluster."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[GatewayClient]: ...


HURRIED = {"argo_poll": "100ms", "argo_look_every": "2s"}
"""Nobody wants to wait for tests."""


@pytest.fixture
async def cluster(platform: Platform) -> AsyncIterator[SimulatedCluster]:
    async with simulated_cluster(platform.objects) as cluster:
        yield cluster


@pytest.fixture(params=["simulated", "real-cluster"])
async def corner(request: pytest.FixtureRequest, tmp_path: Path, platform: Platform) -> AsyncIterator[Corner]:
    if request.param == "real-cluster":
        async with open_corner(real_kubeconfig()) as corner:
            yield corner
        return
    async with simulated_cluster(platform.objects) as cluster:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig-of-corner", simulated=cluster)
        async with open_corner(kubeconfig) as corner:
            yield corner


@pytest.fixture
def run_gateway(tmp_path: Path, cluster: SimulatedCluster) -> RunGateway:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", simulated=cluster)

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[GatewayClient]:
        chosen = {"engine": EngineKind.ARGO, "argo_kubeconfig": kubeconfig, **HURRIED, **settings}
        async with running_gateway(tmp_path, **chosen) as client:
            yield client

    return run


@pytest.fixture
async def gateway(run_gateway: RunGateway) -> AsyncIterator[GatewayClient]:
    async with run_gateway() as client:
        yield client
