"""Three gateways for each state adapter: a quick one, one whose tasks never end, one with limits."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.odm_gateway.wire_suite.gateways import Node, Process, gateway_running
from tests.support.mongo import mongo_server, new_database

TOKEN = "abc"


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mongodb", marks=pytest.mark.long)])
def backends(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server for documents; empty: the embedded store."""
    if request.param == "sqlite":
        yield ""
        return
    with mongo_server(tmp_path_factory.mktemp("mongo")) as url:
        yield url


def _state(backends: str) -> Mapping[str, str]:
    return {"FLIGHTLINE_STATE": new_database(backends)} if backends else {}


@pytest.fixture(scope="session")
def quick_process(backends: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    ours = {
        "ODM_GATEWAY_SIMULATE_SECONDS": "0.2",
        "ODM_GATEWAY_TASKS_AT_ONCE": "4",
        "ODM_GATEWAY_ALLOW_PRIVATE_URLS": "true",
    }
    with gateway_running(tmp_path_factory.mktemp("quick") / "home", {**ours, **_state(backends)}) as process:
        yield process


@pytest.fixture(scope="session")
def busy_process(backends: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    ours = {
        "ODM_GATEWAY_SIMULATE_SECONDS": "3600",
        "ODM_GATEWAY_TASKS_AT_ONCE": "100",
        "ODM_GATEWAY_ALLOW_PRIVATE_URLS": "true",
    }
    with gateway_running(tmp_path_factory.mktemp("busy") / "home", {**ours, **_state(backends)}) as process:
        yield process


@pytest.fixture(scope="session")
def limited_process(backends: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    ours = {
        "ODM_GATEWAY_TOKENS": TOKEN,
        "ODM_GATEWAY_MAX_IMAGES": "3",
        "ODM_GATEWAY_CORES_PER_TASK": "2",
        "ODM_GATEWAY_SIMULATE_SECONDS": "1",
    }
    with gateway_running(
        tmp_path_factory.mktemp("limited") / "home", {**ours, **_state(backends)}
    ) as process:
        yield process


@asynccontextmanager
async def client_of(process: Process, token: str = "") -> AsyncIterator[Node]:
    query = {"token": token} if token else {}
    async with httpx.AsyncClient(base_url=process.url, timeout=30, params=query) as http:
        yield Node(process, http)


@pytest.fixture
async def node(quick_process: Process) -> AsyncIterator[Node]:
    """Give a gateway whose tasks are complete in a moment."""
    async with client_of(quick_process) as client:
        yield client


@pytest.fixture
async def busy(busy_process: Process) -> AsyncIterator[Node]:
    """Give a gateway whose tasks run for an hour, any number together."""
    async with client_of(busy_process) as client:
        yield client


@pytest.fixture
async def limited(limited_process: Process) -> AsyncIterator[Node]:
    """Give a gateway that wants a token, takes three images at most and gives a task two cores."""
    async with client_of(limited_process, TOKEN) as client:
        yield client
