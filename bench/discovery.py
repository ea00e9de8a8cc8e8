"""How fast flights are found on Tapis, what it costs Tapis, and what a dead system costs the others.

    python -m bench.discovery [--json] [--systems 250] [--flights 40] [--latency 0.05] [--repeats 1]

A simulated tenant answers every listing so many seconds late. The same walk (each system's root, and of each
folder there ``code`` and ``code/images``) is done by discovery as its routes do it, by tapipy in threads, and
by bare aiohttp; these two check nothing, repeat nothing and keep nothing. Each has as many systems under way,
and runs in a process of its own. What has to be asked for: the pages of systems, each root, and two folders
per flight, for nothing else tells which sidecars and images there are. No quicker than that many latencies,
shared by those under way, can anybody be. Then one system stops answering: how long does a look take, and
when has the last flight of the others become a project, as the schedule of the service account does it?
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import aiohttp
from pydantic import SecretStr
from tests.support.processes import free_port, running

from bench.used import used_here
from discovery.config import Settings
from discovery.domain.preferences import Plan
from discovery.opening import opened_search
from discovery.plans import SERVICE_ACCOUNT, automatic
from discovery.system_looks import AT_ONCE
from shared.logging import configure_logging
from shared.platform import open_platform
from shared.service.serving import new_event_loop
from shared.settings import PlatformSettings

TENANT, USER, PASSWORD = "portals", "demo", "demo"
CLIENT = {"client_id": "flightline", "client_key": "flightline-key"}
PREFIX = "ptdatax.project.bench-"
IMAGES = 3
PAGE = 1000
MANY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A simulated tenant full of flights."""

    url: str
    systems: int
    flights: int
    latency_s: float

    @property
    def names(self) -> list[str]:
        """Return the systems."""
        return [f"{PREFIX}{number:04}" for number in range(self.systems)]

    @property
    def calls_needed(self) -> int:
        """Return how many answers of Systems and Files it takes to know every flight."""
        system_pages = self.systems // PAGE + 1
        return system_pages + self.systems * (1 + 2 * self.flights)

    @property
    def limit_s(self) -> float:
        """Return how long those answers take if they are all that takes time."""
        rounds = math.ceil(self.systems / AT_ONCE)
        return self.latency_s * (1 + rounds * (1 + 2 * self.flights))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Turn something in the simulator, or read its counters."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}/simulator/{path}", data, method=method), timeout=600) as answer:
            return json.loads(answer.read() or b"null")

    def fill(self) -> None:
        """Make the systems and their flights."""
        flights = [f"Flight{number:03}" for number in range(self.flights)]
        self.ask(
            "POST", "flights", {"systems": self.names, "flights": flights, "images": IMAGES, "owner": USER}
        )
        self.ask("PATCH", "settings", {"latency_s": self.latency_s})

    def calls(self) -> int:
        """Return how often Systems and Files were asked since the last call."""
        told = self.ask("GET", "calls")["by_operation"]
        self.ask("DELETE", "calls")
        return sum(told.get(name, 0) for name in ("getSystems", "getSystem", "listFiles", "listFiles.root"))


def main() -> None:
    """Measure and print; or be one of those that are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", type=int, default=250)
    parser.add_argument("--flights", type=int, default=40)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=sorted(WALKS), help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    tenant = Tenant(given.url, given.systems, given.flights, given.latency)
    if given.child:
        print(json.dumps(measured_here(WALKS[given.child], tenant)))
        return
    with simulated(tenant) as tenant:
        figures = walks(tenant, given.repeats)
        figures |= with_a_dead_system(tenant)
    rows = [f"{name:56}{figure:>14,.2f}" for name, figure in figures.items()]
    print(json.dumps(figures, indent=1) if given.json else "\n".join(rows))


@contextmanager
def simulated(tenant: Tenant) -> Iterator[Tenant]:
    """Run the simulator as users do."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "systems" / "not-of-flights").mkdir(parents=True)
        (Path(name) / "systems" / "not-of-flights" / "readme.txt").write_text("nothing")
        flightline = str(Path(sys.executable).with_name("flightline"))
        command = [flightline, "simulate", "tapis", f"{name}/systems", "--port", str(port)]
        with running(command, port, Path(name) / "tapis.log"):
            filled = Tenant(f"http://127.0.0.1:{port}", tenant.systems, tenant.flights, tenant.latency_s)
            filled.fill()
            yield filled


def walks(tenant: Tenant, repeats: int) -> dict[str, float]:
    """Return medians of all who walk, and what they asked for."""
    figures: dict[str, float] = {
        "calls needed": tenant.calls_needed,
        "limit: latency x calls / systems under way, s": round(tenant.limit_s, 2),
    }
    for name in ("ours", "tapipy", "aiohttp"):
        runs = [child(name, tenant) for _ in range(repeats)]
        wanted = tenant.systems * tenant.flights
        if any(run["flights"] != wanted for run in runs):
            raise RuntimeError(f"{name} found {[run['flights'] for run in runs]} flights, not {wanted}")
        seconds = statistics.median(run["s"] for run in runs)
        calls = statistics.median(run["calls"] for run in runs)
        figures |= {
            f"{name}: s": round(seconds, 2),
            f"{name}: over the limit": round(seconds / tenant.limit_s, 3),
            f"{name}: calls made / calls needed": round(calls / tenant.calls_needed, 4),
            f"{name}: CPU, s": round(statistics.median(run["client CPU, s"] for run in runs), 2),
            f"{name}: peak RSS, MB": round(statistics.median(run["peak RSS, MB"] for run in runs), 1),
        }
    return figures


def with_a_dead_system(tenant: Tenant) -> dict[str, float]:
    """Return how long looking and making projects takes where a system hangs, and where none does."""
    few = Tenant(tenant.url, tenant.systems, tenant.flights, tenant.latency_s)
    dead = {"match": {"system": few.names[0], "operation": "listFiles"}, "times": None}
    plain = [child("looked", few), child("projects", few)]
    few.ask("POST", "faults", dead | {"fault": {"kind": "hang", "seconds": MANY_S}})
    hanging = [child("looked", few), child("projects", few)]
    few.ask("DELETE", "faults")
    told: dict[str, float] = {}
    for what, runs in (("no dead system", plain), ("one dead system", hanging)):
        told |= {
            f"{what}: looked everywhere, s": round(runs[0]["s"], 2),
            f"{what}: flights": runs[0]["flights"],
            f"{what}: last project made, s": round(runs[1]["last_s"], 2),
            f"{what}: projects": runs[1]["flights"],
        }
    return told


def child(name: str, tenant: Tenant) -> dict[str, float]:
    """Measure in a process of its own, and count what it asked for."""
    tenant.calls()
    command = [sys.executable, "-m", "bench.discovery", "--child", name, "--url", tenant.url]
    more = ["--systems", str(tenant.systems), "--flights", str(tenant.flights)]
    done = subprocess.run([*command, *more], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures | {"calls": tenant.calls()}


def measured_here(walk: Callable[[Tenant], dict[str, float]], tenant: Tenant) -> dict[str, float]:
    """Return what ``walk`` says of itself, and what this process took for it."""
    return walk(tenant) | used_here()


def ours(tenant: Tenant) -> dict[str, float]:
    """Look as a user's request for flights does."""
    return _run(_discovered(tenant))


def projects(tenant: Tenant) -> dict[str, float]:
    """Look and make projects, as the schedule does."""
    return _run(_made(tenant))


def _run(work: Any) -> dict[str, float]:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:  # as services have it
        figures: dict[str, float] = runner.run(work)
        return figures


async def _discovered(tenant: Tenant) -> dict[str, float]:
    configure_logging("bench", log_format="json", level="error")
    with tempfile.TemporaryDirectory() as home:
        async with (
            open_platform(_settings(tenant, home), ()) as on,
            opened_search(Settings(), on) as (
                access,
                _,
            ),
        ):
            began = time.perf_counter()
            found = await access.flights.discover(SERVICE_ACCOUNT)
            return {"s": time.perf_counter() - began, "flights": len(found.flights)}


async def _made(tenant: Tenant) -> dict[str, float]:
    configure_logging("bench", log_format="json", level="error")
    with tempfile.TemporaryDirectory() as home:
        async with (
            open_platform(_settings(tenant, home), ()) as on,
            opened_search(Settings(), on) as (
                access,
                _,
            ),
        ):
            began, at = time.perf_counter(), time.time()
            _, done = await automatic(access.flights, Plan(owner=SERVICE_ACCOUNT))
            last_s = max(project.created_at.timestamp() for project, _ in done.created) - at
            return {"s": time.perf_counter() - began, "last_s": last_s, "flights": len(done.created)}


def _settings(tenant: Tenant, home: str) -> PlatformSettings:
    return PlatformSettings(
        home=Path(home),
        tapis_url=tenant.url,
        tapis_tenant=TENANT,
        tapis_username=USER,
        tapis_password=SecretStr(PASSWORD),
    )


def tapipy_threads(tenant: Tenant) -> dict[str, float]:
    """Walk with tapipy as its documentation shows it, a thread for each system under way."""
    with warnings.catch_warnings():  # tapipy's dependencies are of another time
        warnings.simplefilter("ignore")
        from tapipy.tapis import Tapis  # type: ignore[import-untyped]  # noqa: PLC0415
    client = Tapis(base_url=tenant.url, tenant_id=TENANT, username=USER, password=PASSWORD, **CLIENT)
    client.get_tokens()

    def listed(system: str, path: str) -> list[Any]:
        entries: list[Any] = []
        while True:
            page = client.files.listFiles(
                systemId=system, path=quote(path) or "/", limit=PAGE, offset=len(entries)
            )
            entries += page
            if len(page) < PAGE:
                return entries

    def walked(system: str) -> int:
        found = 0
        for folder in listed(system, ""):
            code = {entry.name for entry in listed(system, f"{folder.path}/code")}
            if "images" in code:
                found += any(_is_image(entry.name) for entry in listed(system, f"{folder.path}/code/images"))
        return found

    began = time.perf_counter()
    systems = client.systems.getSystems(search=f"(id.like.{PREFIX}*)", listType="ALL", limit=PAGE)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = sum(threads.map(walked, [system.id for system in systems]))
    return {"s": time.perf_counter() - began, "flights": found}


def bare_aiohttp(tenant: Tenant) -> dict[str, float]:
    """Walk with nothing but requests."""
    return _run(_bare(tenant))


async def _bare(tenant: Tenant) -> dict[str, float]:
    async with aiohttp.ClientSession(tenant.url) as session:
        asked = {"username": USER, "password": PASSWORD, "grant_type": "password"}
        async with session.post("/v3/oauth2/tokens", json=asked) as answer:
            token = (await answer.json())["result"]["access_token"]["access_token"]
        session.headers["X-Tapis-Token"] = token
        began = time.perf_counter()
        search = {"search": f"(id.like.{PREFIX}*)", "listType": "ALL", "limit": str(PAGE)}
        page = await _result(session, "/v3/systems", search)
        names = iter([system["id"] for system in page])
        found = await asyncio.gather(*(_walked(session, names) for _ in range(AT_ONCE)))
        return {"s": time.perf_counter() - began, "flights": sum(found)}


async def _walked(session: aiohttp.ClientSession, systems: Iterator[str]) -> int:
    found = 0
    for system in systems:
        for folder in await _listed(session, system, ""):
            code = {entry["name"] for entry in await _listed(session, system, f"{folder['path']}/code")}
            if "images" in code:
                images = await _listed(session, system, f"{folder['path']}/code/images")
                found += any(_is_image(entry["name"]) for entry in images)
    return found


async def _listed(session: aiohttp.ClientSession, system: str, path: str) -> list[Any]:
    entries: list[Any] = []
    while True:
        more = {"limit": str(PAGE), "offset": str(len(entries))}
        page = await _result(session, f"/v3/files/ops/{system}/{quote(path)}", more)
        entries += page
        if len(page) < PAGE:
            return entries


async def _result(session: aiohttp.ClientSession, path: str, query: dict[str, str]) -> list[Any]:
    async with session.get(path, params=query) as answer:
        entries: list[Any] = (await answer.json())["result"]
        return entries


def _is_image(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg"))


WALKS: dict[str, Callable[[Tenant], dict[str, float]]] = {
    "ours": ours,
    "looked": ours,
    "projects": projects,
    "tapipy": tapipy_threads,
    "aiohttp": bare_aiohttp,
}


if __name__ == "__main__":
    main()
