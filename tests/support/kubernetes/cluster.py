"""A simulated cluster: an API server and a controller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.objects.port import ObjectStore
from tests.support.kubernetes.controller import Controller
from tests.support.kubernetes.server import ApiServer
from tests.support.kubernetes.status import Json


@dataclass(frozen=True)
class SimulatedCluster:
    """A cluster that runs inside the test."""

    api: ApiServer
    controller: Controller

    def workflows(self) -> dict[str, Json]:
        """Return all workflows, by name."""
        return {name: obj for (kind, name), obj in self.api.storage.objects.items() if kind == "workflows"}

    def claims(self) -> list[str]:
        """Return the names of all volume claims."""
        return [name for kind, name in self.api.storage.objects if kind == "persistentvolumeclaims"]

    async def go_down(self, for_s: float) -> None:
        """Be out of reach for a while."""
        self.api.faults.is_down = True
        self.api.cut_watches()
        await asyncio.sleep(for_s)
        self.api.faults.is_down = False

    def vanish(self, name: str) -> None:
        """Delete a workflow, finalizers and all, as somebody may who is in a hurry."""
        self.api.storage.merge("workflows", name, {"metadata": {"finalizers": None}})
        self.api.storage.delete("workflows", name)


@asynccontextmanager
async def simulated_cluster(objects: ObjectStore) -> AsyncIterator[SimulatedCluster]:
    """Run a cluster whose steps write to ``objects``."""
    api = ApiServer()
    controller = Controller(api.storage, objects)
    async with controller.at_work(), api.serving():
        yield SimulatedCluster(api, controller)


def write_kubeconfig(path: Path, **clusters: SimulatedCluster) -> Path:
    """Write one kubeconfig with all clusters, by the names of their contexts."""
    merged: Json = {}
    for context, cluster in clusters.items():
        for key, value in cluster.api.kubeconfig(context).items():
            merged[key] = merged.get(key, []) + value if isinstance(value, list) else value
    path.write_text(json.dumps(merged))
    return path
