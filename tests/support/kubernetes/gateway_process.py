"""Gateways of their own processes, on a cluster and without HTTP, to be killed at any moment.

``python -m tests.support.kubernetes.gateway_process HOME KUBECONFIG LEASE_S`` is their nursery: it takes the
time to import everything once, and makes a gateway by ``fork`` for every line that it reads.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from odm_gateway.adapters.argo.clusters import open_clusters
from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.loops import TASKS
from shared.messaging.relay import OutboxRelay
from tests.support.gateway import opened_platform
from tests.support.gateway_process import task_loop
from tests.support.kubernetes.engine import LIMITS, PACE, PATIENCE, RECIPE

AT_ONCE = 6
ROOT = Path(__file__).parents[3]
WORKING = "working as "


@dataclass
class Nursery:
    """Makes gateways."""

    process: Process
    _born: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[int]:
        """Have a gateway at work from the begin of the block, and killed at its end; yield its process id."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        process_id = await self._born.get()
        try:
            yield process_id
        finally:
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    async def listen(self) -> None:
        """Take in what gateways say; they would wait for room in the pipe otherwise."""
        assert self.process.stdout
        async for line in self.process.stdout:
            _, said, process_id = line.decode(errors="replace").rpartition(WORKING)
            if said:
                self._born.put_nowait(int(process_id))


@asynccontextmanager
async def nursery(home: Path, kubeconfig: Path, lease_s: float) -> AsyncIterator[Nursery]:
    """Have a nursery of gateways that all work on the same tasks."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.kubernetes.gateway_process", str(home), str(kubeconfig),
        str(lease_s), cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    made = Nursery(process)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        listening.cancel()
        process.kill()
        await process.wait()


async def run_gateway(home: Path, kubeconfig: Path, lease: timedelta) -> None:
    """Work on tasks until killed."""
    async with (
        opened_platform(home) as platform,
        open_clusters([], kubeconfig=kubeconfig, namespace=None, pace=PACE) as clusters,
    ):
        engine = ArgoEngine(platform.objects, clusters, RECIPE, LIMITS, PATIENCE)
        loop = await task_loop(platform, engine, lease=lease, at_once=AT_ONCE)
        relay = OutboxRelay(platform.transport, platform.store, [TASKS.name])
        watches = [cluster.reflector.run for cluster in clusters.by_name.values()]
        sys.stdout.write(f"\n{WORKING}{os.getpid()}\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as group:
            for work in (loop.run, loop.tidy, relay.run, *watches):
                group.create_task(work())


def main() -> None:
    """Make gateways, and be one in each child."""
    home, kubeconfig = Path(sys.argv[1]), Path(sys.argv[2])
    lease = timedelta(seconds=float(sys.argv[3]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    while os.read(0, 1):
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(run_gateway(home, kubeconfig, lease))
            return


if __name__ == "__main__":
    main()
