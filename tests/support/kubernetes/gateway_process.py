"""A gateway of its own process, on a cluster and without HTTP, to be killed at any moment.

``python -m tests.support.kubernetes.gateway_process HOME KUBECONFIG``
"""

from __future__ import annotations

import asyncio
import sys
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
LEASE = timedelta(seconds=4)
"""Nobody wants to wait for what a dead gateway was tidying."""


async def run_gateway(home: Path, kubeconfig: Path) -> None:
    """Work on tasks until killed."""
    async with (
        opened_platform(home) as platform,
        open_clusters([], kubeconfig=kubeconfig, namespace=None, pace=PACE) as clusters,
    ):
        engine = ArgoEngine(platform.objects, clusters, RECIPE, LIMITS, PATIENCE)
        loop = await task_loop(platform, engine, lease=LEASE, at_once=AT_ONCE)
        relay = OutboxRelay(platform.transport, platform.store, [TASKS.name])
        watches = [cluster.reflector.run for cluster in clusters.by_name.values()]
        sys.stdout.write("working\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as group:
            for work in (loop.run, loop.tidy, relay.run, *watches):
                group.create_task(work())


if __name__ == "__main__":
    asyncio.run(run_gateway(Path(sys.argv[1]), Path(sys.argv[2])))
