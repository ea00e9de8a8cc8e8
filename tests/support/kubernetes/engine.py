"""The ``argo`` engine on simulated clusters, in more of a hurry than usual, and jobs for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from odm_gateway.adapters.argo.clusters import Clusters, open_clusters
from odm_gateway.adapters.argo.engine import ArgoEngine
from odm_gateway.adapters.argo.following import Patience
from odm_gateway.adapters.argo.reflector import Pace
from odm_gateway.adapters.argo.submission import Recipe
from odm_gateway.argo_config import Context
from odm_gateway.domain.sizing import Limits
from odm_gateway.ports import Completed, EngineEvent, Failed, Job, Line
from shared.objects.port import ObjectStore
from tests.support.kubernetes.cluster import SimulatedCluster, write_kubeconfig

RECIPE = Recipe(template="odm-standard", odm_image="docker.io/opendronemap/odm:latest")
LIMITS = Limits(memory_gib=(4, 256))
TICK = timedelta(seconds=0.05)
PATIENCE = Patience(
    poll=TICK,
    poll_at_most=TICK * 3,
    settle=TICK,
    look=(TICK * 20, TICK * 40),
    backoff_at_most=TICK * 4,
    away=TICK * 0,
    stuck_after=timedelta(minutes=1),
    result=timedelta(seconds=1),
)
PACE = Pace(page=50, backoff_at_most=timedelta(seconds=0.2), full=timedelta(seconds=1))


@dataclass(frozen=True)
class Heard:
    """What a follower heard."""

    events: tuple[EngineEvent, ...]

    @property
    def last(self) -> EngineEvent:
        """Return the end."""
        return self.events[-1]

    @property
    def lines(self) -> list[str]:
        """Return the lines of ODM itself."""
        return [event.text for event in self.events if isinstance(event, Line) and "[INFO]" in event.text]

    @property
    def console(self) -> str:
        """Return all lines."""
        return "\n".join(event.text for event in self.events if isinstance(event, Line))


@asynccontextmanager
async def watched_clusters(
    folder: Path, pace: Pace = PACE, *, window: int | None = None, **clusters: SimulatedCluster
) -> AsyncIterator[Clusters]:
    """Open clients of all clusters, with their watches running.

    Names may carry a weight and the most memory of a task, as ``name__2`` or ``name__2__64``.
    """
    contexts = {named: _context(named) for named in clusters}
    by_name = {contexts[named].name: cluster for named, cluster in clusters.items()}
    kubeconfig = write_kubeconfig(folder / f"kubeconfig-{uuid4().hex}", **by_name)
    async with open_clusters(
        list(contexts.values()), kubeconfig=kubeconfig, namespace=None, window=window, pace=pace
    ) as opened:
        watching = [asyncio.create_task(cluster.reflector.run()) for cluster in opened.by_name.values()]
        try:
            yield opened
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)


def _context(named: str) -> Context:
    name, weight, memory = (*named.split("__"), "", "")[:3]
    return Context(name, float(weight or 1), int(memory) if memory else None)


@asynccontextmanager
async def argo_engine(
    folder: Path,
    objects: ObjectStore,
    patience: Patience = PATIENCE,
    *,
    pace: Pace = PACE,
    window: int | None = None,
    **clusters: SimulatedCluster,
) -> AsyncIterator[ArgoEngine]:
    """Run an engine on clusters."""
    async with watched_clusters(folder, pace, window=window, **clusters) as opened:
        yield ArgoEngine(objects, opened, RECIPE, LIMITS, patience)


def job(name: str = "odm-pipeline-b2c4d6f8g2h4", **facts: object) -> Job:
    """Return a job of three images."""
    known = {
        "task_id": name, "name": name, "images": "staging/flight", "manifest": None, "options": (),
        "products": f"products/{name}", "image_count": 3, "total_bytes": 24_000_000,
    }  # fmt: skip
    return Job(**{**known, **facts})  # type: ignore[arg-type]


async def followed(engine: ArgoEngine, job: Job) -> Heard:
    """Follow a job to its end."""
    events: list[EngineEvent] = []
    async with asyncio.timeout(60), engine.follow(job) as heard:
        async for event in heard:
            events.append(event)
            if isinstance(event, Completed | Failed):
                break
    return Heard(tuple(events))
