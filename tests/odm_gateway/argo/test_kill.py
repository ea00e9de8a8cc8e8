"""kill -9 of the gateway at any moment: no task is lost or done twice, nothing is left in the cluster."""

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from odm_gateway.adapters.simulated_engine import SimulatedEngine
from odm_gateway.domain.tasks import Status
from odm_gateway.loops import TaskLoop
from shared.platform import Platform
from tests.odm_gateway.test_loops import new_task
from tests.support.gateway_process import task_loop
from tests.support.kubernetes.cluster import SimulatedCluster, write_kubeconfig
from tests.support.kubernetes.gateway_process import nursery
from tests.support.kubernetes.scenarios import HAPPY, Scenario, failing, out_of_memory, spot_lost
from tests.support.kubernetes.telling import told_of
from tests.support.trouble import eventually

LEASE_S = 4
"""Nobody wants to wait for what a dead gateway was tidying."""
OPEN_AT_ONCE = 8
LONGEST_LIFE_S = 1.5
SCENARIOS = (HAPPY, Scenario(step_s=0.15), failing(1), out_of_memory(1), spot_lost(2))
SEED = 20


async def is_over(loop: TaskLoop, keys: list[str], cluster: SimulatedCluster) -> bool:
    tasks = [(await loop.tasks.load(key)).body for key in keys]
    is_tidy = all(task.status.finished and not task.untidy for task in tasks)
    return is_tidy and not cluster.workflows() and not cluster.claims()


def scenarios(chosen: dict[str, Scenario], dice: random.Random) -> Iterator[tuple[str, Scenario]]:
    for _ in count():
        key = str(uuid4())
        chosen[f"odm-pipeline-{key}"] = dice.choice(SCENARIOS)
        yield key, chosen[f"odm-pipeline-{key}"]


@pytest.mark.parametrize(
    "kills", [6, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3_000)])]
)
async def test_no_task_is_lost_or_doubled_however_often_the_gateway_is_killed(
    platform: Platform, tmp_path: Path, cluster: SimulatedCluster, kills: int
) -> None:
    dice = random.Random(SEED)
    chosen: dict[str, Scenario] = {}
    cluster.controller.scenario = chosen.__getitem__
    new = scenarios(chosen, dice)
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", simulated=cluster)
    loop = await task_loop(platform, SimulatedEngine(platform.objects))
    wanted: dict[str, Scenario] = {}
    async with nursery(platform.settings.home, kubeconfig, LEASE_S) as gateways:
        for _ in range(kills):
            is_open = [key for key in wanted if not (await loop.tasks.load(key)).body.status.finished]
            for _ in range(OPEN_AT_ONCE - len(is_open)):
                key, scenario = next(new)
                wanted[await new_task(loop, key)] = scenario
            async with gateways.gateway():
                await asyncio.sleep(dice.uniform(0, LONGEST_LIFE_S))
        async with gateways.gateway():
            await eventually(lambda: is_over(loop, list(wanted), cluster), within_s=100)
    for key, scenario in wanted.items():
        task = (await loop.tasks.load(key)).body
        expected = Status.COMPLETED if scenario.runs[-1].exit_code == 0 else Status.FAILED
        assert task.status is expected, task
        console = await loop.console.lines(key, task.run)
        lines = [line for line in console if "[INFO]" in line]
        assert len(lines) == len(set(lines)) == 2 * sum(run.chunks for run in scenario.runs)
    assert cluster.controller.made == {f"odm-pipeline-{key}": 1 for key in wanted}
    told = await told_of(platform, len(wanted))
    assert {key: times for key, (_, times) in told.items()} == dict.fromkeys(wanted, 1)
    assert [stored.key async for stored in platform.objects.list("jobs/")] == []
