"""Several gateways on the same tasks and one cluster: every task is one gateway's, and others keep off it."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.domain.tasks import Status
from odm_gateway.loops import TaskLoop
from shared.platform import Platform
from tests.odm_gateway.runner.workspaces import is_running
from tests.odm_gateway.test_loops import new_task
from tests.support.gateway_process import task_loop
from tests.support.kubernetes.cluster import SimulatedCluster, write_kubeconfig
from tests.support.kubernetes.gateway_process import nursery
from tests.support.kubernetes.scenarios import Scenario
from tests.support.kubernetes.telling import told_of
from tests.support.trouble import eventually

LEASE_S = 1.5


async def all_ended(loop: TaskLoop, keys: list[str]) -> bool:
    tasks = [(await loop.tasks.load(key)).body for key in keys]
    return all(task.status.finished and not task.untidy for task in tasks)


async def pause(process_id: int, databases: list[Path]) -> None:
    """Stop a process as a machine that is moved does, but not within a lock that all others wait for."""
    while True:
        os.kill(process_id, signal.SIGSTOP)
        if all(map(is_free, databases)):
            return
        os.kill(process_id, signal.SIGCONT)
        await asyncio.sleep(0.01)


def is_free(database: Path) -> bool:
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        return True


async def test_a_gateway_that_lost_its_leases_does_nothing_more_to_its_tasks(
    platform: Platform, tmp_path: Path, cluster: SimulatedCluster
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", simulated=cluster)
    cluster.controller.scenario = lambda _name: Scenario(step_s=0.4)
    loop = await task_loop(platform, SimulatedEngine(platform.objects))
    keys = [await new_task(loop, str(uuid4())) for _ in range(4)]
    home = platform.settings.home
    async with nursery(home, kubeconfig, LEASE_S) as gateways, gateways.gateway() as paused:

        async def all_run() -> bool:
            return len(cluster.controller.memory) == len(keys)

        await eventually(all_run)
        await pause(paused, [home / "state.db", home / "bus.db"])
        async with gateways.gateway():
            await eventually(lambda: all_ended(loop, keys), within_s=60)
            ends = [(await loop.tasks.load(key)).body for key in keys]
            os.kill(paused, signal.SIGCONT)
            later = await new_task(loop, str(uuid4()))
            await eventually(lambda: all_ended(loop, [later]), within_s=60)
            await asyncio.sleep(LEASE_S)
            assert is_running(paused)
    assert [(await loop.tasks.load(key)).body for key in keys] == ends
    for key in keys:
        task = (await loop.tasks.load(key)).body
        assert task.status is Status.COMPLETED
        lines = [line for line in await loop.console.lines(key, task.run) if "[INFO]" in line]
        assert len(lines) == len(set(lines)) == 6
    assert cluster.controller.made == {f"odm-pipeline-{key}": 1 for key in (*keys, later)}
    assert (cluster.workflows(), cluster.claims()) == ({}, [])
    told = await told_of(platform, len(keys) + 1)
    assert told == dict.fromkeys((*keys, later), ("completed", 1))
