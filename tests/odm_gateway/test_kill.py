"""kill -9 of the gateway at any moment: one finished task, whole products, one completion."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.domain.tasks import Status, Task
from odm_gateway.loops import TaskLoop, job_of
from shared.platform import Platform
from tests.odm_gateway.test_loops import new_task
from tests.support.gateway import completions
from tests.support.gateway_process import scripted_engine, task_loop
from tests.support.zygote import Child, Zygote


@contextmanager
def gateway_process(
    parent: Zygote, home: Path, behaviour: str = "work_slowly", *, lease_s: float = 30
) -> Iterator[Child]:
    """Run a gateway of its own, and kill it at the end of the block."""
    command = ["gateway_process", str(home), behaviour, str(lease_s)]
    main = "tests.support.gateway_process:run"
    child = parent.start(main, command, os.environ, home.with_suffix(".log"))
    try:
        yield child
    finally:
        child.close()


async def until(loop: TaskLoop, key: str, reached: str) -> Task:
    work = loop.engine.work_dir if isinstance(loop.engine, LocalEngine) else Path()
    for _ in range(2000):
        task = (await loop.tasks.load(key)).body
        journal = work / job_of(task).name / "project/steps"
        steps = len(journal.read_text()) if journal.exists() else 0
        moments = {
            "begun": task.run > 0, "half done": steps >= 5, "nearly done": steps == 10,
            "finished": task.status.finished, "tidied": task.status.finished and not task.untidy,
        }  # fmt: skip
        if moments[reached]:
            return task
        await asyncio.sleep(0.03)
    raise AssertionError(f"never {reached}: {task}")


@pytest.mark.parametrize(
    "moments", [["begun"], ["half done", "half done", "nearly done"], ["finished"]], ids="-".join
)
async def test_a_killed_gateways_task_is_finished_by_its_successor(
    forking: Zygote, platform: Platform, moments: list[str]
) -> None:
    loop = await task_loop(platform, scripted_engine(platform, "work_slowly"))
    key = await new_task(loop, str(uuid4()))
    for moment in moments:
        with gateway_process(forking, platform.settings.home):
            await until(loop, key, moment)
    with gateway_process(forking, platform.settings.home):
        task = await until(loop, key, "tidied")
    assert task.status is Status.COMPLETED
    assert [await platform.objects.stat(f"products/{key}/{asset}") is not None for asset in task.assets] == [
        True
    ] * 3
    assert len({event.id for event in await completions(platform)}) == 1
    console = await loop.console.lines(key, task.run)
    assert len(console) == len(set(console))


async def test_a_gateway_that_froze_does_not_spoil_its_successors_work(
    forking: Zygote, platform: Platform
) -> None:
    loop = await task_loop(platform, scripted_engine(platform, "work_slowly"))
    key = await new_task(loop, str(uuid4()))
    with gateway_process(forking, platform.settings.home, lease_s=2) as frozen:
        await until(loop, key, "half done")
        frozen.signal(signal.SIGSTOP)
        with gateway_process(forking, platform.settings.home, lease_s=2):
            task = await until(loop, key, "finished")
            frozen.signal(signal.SIGCONT)
            await asyncio.sleep(1)
    after = (await loop.tasks.load(key)).body
    assert (task.status, after.run) == (Status.COMPLETED, task.run)
    assert len({event.id for event in await completions(platform)}) == 1
