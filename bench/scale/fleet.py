"""The services as processes of their own: started, killed, started again, and what they take."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from tests.support.processes import free_port
from tests.support.rabbitmq import RabbitMQ

from bench.scale.cluster import CONTEXT, COUNTS, KUBECONFIG
from shared.messaging.metrics import EVENTS_HANDLED

SERVICES = ("discovery", "ingest", "scaler", "mover", "odm-gateway")
START_WITHIN_S = 120.0
END_WITHIN_S = 90.0
HANDLED = re.compile(rf"^{next(iter(EVENTS_HANDLED.describe())).name}_total{{.*}} ([0-9.e+]+)$", re.MULTILINE)
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Used:
    """What a process and its children take, and took before they were killed."""

    cpu_s: float
    rss_bytes: int


@dataclass(slots=True)
class Member:
    """One process of the fleet, in all its lives."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    url: str = ""
    starts: int = 0
    started_at_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = None
    _cpu_before_s: float = 0.0
    _cpu_now_s: float = 0.0

    def start(self) -> None:
        """Begin a life."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.starts += 1
        self.started_at_s = time.monotonic()

    def kill(self) -> None:
        """End it as a power cut would; its children notice by themselves."""
        self._end(subprocess.Popen.kill)

    def stop(self) -> None:
        """Tell it to end, and wait until it has."""
        self._end(subprocess.Popen.terminate)

    def used(self) -> Used:
        """Return what it takes now, and took in former lives."""
        rss_bytes = 0
        if self._process is not None:
            with suppress(psutil.Error):
                self._cpu_now_s, rss_bytes = tree(psutil.Process(self._process.pid))
        return Used(self._cpu_before_s + self._cpu_now_s, rss_bytes)

    def check(self) -> None:
        """See that it lives.

        Raises:
            RuntimeError: It has ended by itself.
        """
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself:\n{self.log.read_text()[-3000:]}")

    def _end(self, how: object) -> None:
        if self._process is None:
            return
        self.used()
        self._cpu_before_s, self._cpu_now_s = self._cpu_before_s + self._cpu_now_s, 0.0
        assert callable(how)
        how(self._process)
        try:
            self._process.wait(END_WITHIN_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass(slots=True)
class Fleet:
    """All services, and the cluster that their workflows run in."""

    members: dict[str, Member]
    folder: Path
    http: aiohttp.ClientSession = field(repr=False)

    @property
    def services(self) -> list[Member]:
        """Return the services."""
        return [self.members[name] for name in SERVICES]

    async def stop(self) -> None:
        """End all services, then the cluster, whatever one of them says to that; those that ended, stay so.

        Raises:
            ExceptionGroup: Some did not end in good time, and were killed.
        """
        stopping = [asyncio.to_thread(member.stop) for member in self.services]
        outcomes = await asyncio.gather(*stopping, return_exceptions=True)
        outcomes += await asyncio.gather(
            asyncio.to_thread(self.members["cluster"].stop), return_exceptions=True
        )
        if late := [outcome for outcome in outcomes if isinstance(outcome, Exception)]:
            raise ExceptionGroup("they did not end", late)

    async def until_ready(self, member: Member) -> None:
        """Wait until a service is ready.

        Raises:
            TimeoutError: It is not, in good time.
        """
        async with asyncio.timeout(START_WITHIN_S):
            while True:
                member.check()
                with suppress(aiohttp.ClientError, OSError):
                    async with self.http.get(f"{member.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def handled(self, member: Member) -> float | None:
        """Return how many deliveries a service has settled in this life; None: it does not answer."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self.http.get(f"{member.url}/metrics") as answer:
                return sum(map(float, HANDLED.findall(await answer.text())))
        return None


@asynccontextmanager
async def running_fleet(folder: Path, broker: RabbitMQ, webhook: str, flights: Path) -> AsyncIterator[Fleet]:
    """Run the cluster and all services until the block ends.

    Args:
        folder: For all that they write.
        broker: What they talk over.
        webhook: What is told of every task's end.
        flights: The folder that they may read flights from.
    """
    objects = f"file://{folder}/objects"
    (folder / "objects").mkdir()
    cluster_command = (sys.executable, "-m", "bench.scale.cluster", objects, str(folder))
    cluster = Member("cluster", cluster_command, {}, folder / "cluster.log")
    members = {"cluster": cluster}
    common = {
        "FLIGHTLINE_HOME": str(folder / "home"),
        "FLIGHTLINE_BUS": broker.url,
        "FLIGHTLINE_OBJECTS": objects,
        "FLIGHTLINE_FOLDERS": str(flights),
        "FLIGHTLINE_LOG_FORMAT": "json",
        "ODM_GATEWAY_ENGINE": "argo",
        "ODM_GATEWAY_ARGO_CONTEXTS": CONTEXT,
        "ODM_GATEWAY_ARGO_KUBECONFIG": str(folder / KUBECONFIG),
        "ODM_GATEWAY_WEBHOOK": webhook,
        "ODM_GATEWAY_CLEANUP": "0",
        "INGEST_TRANSFERS_AT_ONCE": "16",
    }
    for name in SERVICES:
        port = free_port()
        own = {
            f"{name.upper().replace('-', '_')}_PORT": str(port),
            "FLIGHTLINE_STATE": state_url(folder, name),
        }
        members[name] = Member(
            name, (str(BIN / name),), common | own, folder / f"{name}.log", f"http://127.0.0.1:{port}"
        )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http:
        fleet = Fleet(members, folder, http)
        try:
            cluster.start()
            await _until_there(folder / KUBECONFIG, cluster)
            for member in fleet.services:
                member.start()
            await asyncio.gather(*(fleet.until_ready(member) for member in fleet.services))
            yield fleet
        finally:
            await fleet.stop()


def state_url(folder: Path, service: str) -> str:
    """Return where a service keeps its documents: no other one reads them."""
    return f"sqlite://{folder}/{service}.db"


def tree(process: psutil.Process) -> tuple[float, int]:
    """Return the CPU time and the memory of a process and its children."""
    cpu_s, rss_bytes = 0.0, 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            cpu_s += times.user + times.system
            rss_bytes += each.memory_info().rss
    return cpu_s, rss_bytes


async def _until_there(path: Path, member: Member) -> None:
    async with asyncio.timeout(START_WITHIN_S):
        while not path.exists():  # noqa: ASYNC240 - a look at one name
            member.check()
            await asyncio.sleep(0.05)


__all__ = ["COUNTS", "SERVICES", "Fleet", "Member", "Used", "running_fleet", "state_url", "tree"]
