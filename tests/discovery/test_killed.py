"""Killed again and again at moments drawn by chance, discovery loses no flight and tells of none twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from discovery.collections import COUNTERS, FLIGHTS, LOGINS, PROJECTS
from discovery.domain.flights import Flight, FlightState
from discovery.domain.principals import SESSION_COOKIE
from discovery.domain.projects import Project, ProjectState
from shared.events import Event, FlightFound
from shared.messaging.port import Subscription
from shared.platform import Platform
from tests.discovery.conftest import running_discovery
from tests.discovery.replicas import Replica
from tests.discovery.tapis import BOB, CLIENT_ID, CLIENT_KEY, INTERNAL_TOKEN, World, tenant
from tests.support.columns import Column, every
from tests.support.listening import LISTENER, heard
from tests.support.mongo import new_database
from tests.support.processes import free_port
from tests.support.rabbitmq import session_rabbitmq
from tests.support.tapis import USER, TapisServer
from tests.support.webodm import WebODMServer, webodm_server
from tests.support.zygote import zygote

KILLS = int(os.environ.get("FLIGHTLINE_TEST_KILLS", "0"))
"""How many, instead of each test's own number."""
PER_ROUND = 8
LIVES_AT_MOST_S = 1.2
DONE_WITHIN_S = 90.0
TOKEN_TTL_S = 4.0
SYSTEMS = {USER: "ptdatax.project.testers", BOB: "ptdatax.project.bobs"}
CREATE = "/api/tapis-storage/create-projects/"
OWN = {
    "DISCOVERY_SETTLE": "200ms",
    "DISCOVERY_WEBODM_MODE": "webodm",
    "DISCOVERY_WEBODM_USERNAME": "pilot",
    "DISCOVERY_WEBODM_PASSWORD": "pilot's",
    "FLIGHTLINE_LOG_LEVEL": "warning",
}


@dataclass
class Fire:
    """Two users with flights, those who look for them, and who may be killed meanwhile."""

    tapis: TapisServer
    webodm: WebODMServer
    on: Platform
    replicas: list[Replica]
    session: str
    """The cookie of the user who logged in."""
    chance: random.Random
    kills: int = 0
    flights: dict[tuple[str, str], int] = field(default_factory=dict)
    """By system and name, how many images there are."""
    told: dict[str, Event[FlightFound]] = field(default_factory=dict)
    versions: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Events by system, name and number of images, each id counted once."""

    async def life(self) -> None:
        """Start everybody, and kill each at a moment of their own."""
        await asyncio.gather(*(replica.start() for replica in self.replicas))
        async with self.users():
            await asyncio.gather(*(self._death(replica) for replica in self.replicas))

    async def _death(self, replica: Replica) -> None:
        await asyncio.sleep(self.chance.random() * LIVES_AT_MOST_S)
        replica.kill()
        self.kills += 1

    @asynccontextmanager
    async def users(self) -> AsyncIterator[None]:
        """Have both users ask for projects of all their flights while the block runs."""
        asking = [asyncio.create_task(self._ask(user)) for user in SYSTEMS]
        try:
            yield
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, user: str) -> None:
        async with httpx.AsyncClient(timeout=20) as http:
            while True:
                replica = self.chance.choice(self.replicas)
                with suppress(httpx.TransportError):  # it was killed, or is not there yet
                    await http.post(
                        replica.url + CREATE, json={"auto_discover": True}, headers=self._as(user)
                    )
                await asyncio.sleep(0.02)

    def _as(self, user: str) -> dict[str, str]:
        if user == USER:
            return {"Cookie": f"{SESSION_COOKIE}={self.session}", "Origin": self.replicas[0].url}
        return {"X-Tapis-Token": self.tapis.tapis.issuer.access_token(user)}

    def fly(self, number: int) -> None:
        """Let each user have a new flight, and one of those that were announced grow."""
        for system in SYSTEMS.values():
            if known := [name for at, name in self.flights if at == system]:
                self._fly(system, self.chance.choice(known), 1)
            self._fly(system, f"Flight{number}", self.chance.randint(1, 4))

    def _fly(self, system: str, name: str, more: int) -> None:
        images = self.flights.get((system, name), 0) + more
        self.flights[system, name] = images
        owner = next(user for user, at in SYSTEMS.items() if at == system)
        self.tapis.flight(system, name, images, owner=owner)

    @property
    def is_token_renewed(self) -> bool:
        """Return whether a login's first token was replaced: it is not good for long."""
        return self.tapis.tapis.calls.statuses["create_token", 200] > 1

    async def until_done(self) -> None:
        """Let one of them live until nothing is left to do."""
        survivor = self.replicas[0]
        await survivor.start()
        try:
            async with self.users(), asyncio.timeout(DONE_WITHIN_S):
                while not await self._is_done():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(survivor.said()) from None
        finally:
            survivor.kill()

    async def _is_done(self) -> bool:
        flights = [flight async for flight in every(self.on, FLIGHTS, Flight)]
        projects = [project async for project in every(self.on, PROJECTS, Project)]
        seen = {(one.system_id, one.name): one.run.image_count for one in flights if one.run}
        return (
            seen == self.flights
            and all(one.state is not FlightState.SETTLING for one in flights)
            and len(projects) == len(self.flights)
            and all(one.webodm_id is not None for one in projects)
            and not await self.on.store.pending(FLIGHTS.name)
        )

    async def check(self) -> None:
        """See that each version was told of under one id, and each flight has one project."""
        await self._listen()
        kept = [project async for project in every(self.on, PROJECTS, Project)]
        there = self.webodm.projects
        wanted = sorted(f"{name} ({system})" for system, name in self.flights)

        assert [version for version, times in self.versions.items() if times > 1] == []
        assert sorted(project.name for project in there) == wanted
        assert sorted(project.name for project in kept) == wanted
        assert {project.webodm_id for project in kept} == {project.id for project in there}
        assert {project.state for project in kept} == {ProjectState.CREATED}
        owners = {(event.data.system_id, event.data.owner) for event in self.told.values()}
        assert owners == {(system, f"{user}@tacc") for user, system in SYSTEMS.items()}

    async def _listen(self) -> None:
        """Hear what was told until the newest version of each flight was, and then what is left."""
        queue = Subscription(LISTENER, FlightFound.type).queue
        newest = {(*place, images) for place, images in self.flights.items()}
        while not newest <= self.versions.keys() or await self.on.transport.depth(queue):
            for event in await heard(self.on, FlightFound, at_least=1):
                if event.id not in self.told:
                    self.versions[event.data.system_id, event.data.name, event.data.image_count] += 1
                self.told[event.id] = event


@asynccontextmanager
async def fire(folder: Path, replicas: int, **backends: str) -> AsyncIterator[Fire]:
    """Open a tenant, a WebODM and backends, and log a user in."""
    folder.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        webodm = await stack.enter_async_context(webodm_server(folder / "webodm"))
        settings = {"access_ttl_s": TOKEN_TTL_S}
        opened = tenant(folder / "home", platform_settings=backends, **settings)
        server, on, url = await stack.enter_async_context(opened)
        await on.store.declare(FLIGHTS, PROJECTS, COUNTERS, LOGINS)
        column = Column(folder / "home", backends=backends | _access(server), own=OWN)
        own = {"DISCOVERY_WEBODM_URL": webodm.url, "DISCOVERY_PUBLIC_URL": url}
        parent = stack.enter_context(zygote("discovery.main", "discovery.resources"))
        ports = [int(url.rpartition(":")[2]), *(free_port() for _ in range(replicas - 1))]
        alive = [
            Replica(port, column.environment | own, folder / f"discovery-{number}.log", parent)
            for number, port in enumerate(ports)
        ]
        for replica in alive:
            stack.callback(replica.kill)
        session = await _logged_in(server, on, url)
        yield Fire(server, webodm, on, alive, session, random.Random(20261121))


def _access(server: TapisServer) -> dict[str, str]:
    return {
        "tapis_url": server.url,
        "tapis_tenant": "tacc",
        "tapis_client_id": CLIENT_ID,
        "tapis_client_key": CLIENT_KEY,
        "internal_token": INTERNAL_TOKEN,
    }


async def _logged_in(server: TapisServer, on: Platform, url: str) -> str:
    """Log a user in, whose token is renewed again and again from then on."""
    async with (
        running_discovery(on, public_url=url, port=int(url.rpartition(":")[2])) as discovery,
        httpx.AsyncClient(base_url=url, timeout=30) as browser,
    ):
        await World(server, discovery, on, url).log_in(browser)
        return browser.cookies[SESSION_COOKIE]


async def under_fire(folder: Path, kills: int, replicas: int, **backends: str) -> None:
    """Have flights found, made projects of and announced under so many kills."""
    async with fire(folder, replicas, **backends) as burning:
        number = 0
        while (left := kills - burning.kills) > 0 or not burning.is_token_renewed:
            number += 1
            burning.fly(number)
            for _ in range(-(-max(1, min(left, PER_ROUND)) // replicas)):
                await burning.life()
            await burning.until_done()
            await burning.check()


@pytest.fixture
def servers(request: pytest.FixtureRequest, mongo_url: str) -> dict[str, str]:
    """RabbitMQ and a MongoDB-compatible server."""
    broker = session_rabbitmq(request.config)
    vhost = f"discovery-{uuid4().hex[:8]}"
    broker.add_vhost(vhost)
    key = "only-for-tests-and-32-characters-long"
    return {"bus": f"{broker.url}{vhost}", "state": new_database(mongo_url), "secrets_key": key}


@pytest.mark.timeout(300)
async def test_no_flight_is_lost_or_told_twice_by_two_replicas(tmp_path: Path) -> None:
    await under_fire(tmp_path, KILLS or 4, 2)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_two_hundred_kills_of_one_process_lose_nothing(tmp_path: Path) -> None:
    await under_fire(tmp_path, KILLS or 200, 1)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_two_hundred_kills_of_two_replicas_on_servers_lose_nothing(
    tmp_path: Path, servers: dict[str, str]
) -> None:
    await under_fire(tmp_path, KILLS or 200, 2, **servers)
