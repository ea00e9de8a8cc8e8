"""The simulated cluster as a process of its own: ``python -m bench.scale.cluster OBJECTS FOLDER``."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.support.kubernetes.cluster import simulated_cluster, write_kubeconfig
from tests.support.kubernetes.scenarios import OdmRun, Scenario

from shared.objects.open import open_objects

CONTEXT = "bench"
KUBECONFIG = "kubeconfig"
COUNTS = "workflows.json"
LIFE = Scenario(runs=(OdmRun(chunks=1),), step_s=0.03)
"""A third of a second from the first pod to the last."""


async def run(objects_url: str, folder: Path) -> None:
    """Be a cluster until SIGTERM, then write how often each workflow was made, and succeeded."""
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with open_objects(objects_url) as objects, simulated_cluster(objects) as cluster:
        cluster.controller.scenario = lambda _name: LIFE
        draft = folder / f"{KUBECONFIG}.draft"
        write_kubeconfig(draft, **{CONTEXT: cluster})
        draft.rename(folder / KUBECONFIG)
        await told_to_end.wait()
        counts = {
            "made": cluster.controller.made,
            "succeeded": cluster.controller.succeeded,
            "workflows_left": len(cluster.workflows()),
            "claims_left": len(cluster.claims()),
        }
        (folder / COUNTS).write_text(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
