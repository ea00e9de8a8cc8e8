"""A gateway of its own process, with scripted workers and without HTTP, to be killed at any moment.

``gateway_process HOME BEHAVIOUR LEASE_S``
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from odm_gateway.adapters.console_log import CONSOLE, ConsoleChunk, ConsoleLog
from odm_gateway.adapters.local_engine import LocalEngine
from odm_gateway.domain.tasks import Task
from odm_gateway.loops import TASKS, TaskLoop
from odm_gateway.ports import Engine
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.state import Collection
from shared.state.owner import process_owner
from tests.support import scripted_worker
from tests.support.gateway import opened_platform


def scripted_engine(platform: Platform, behaviour: str) -> LocalEngine:
    """Return a local engine whose workers follow a script; ``real``: those of the built-in engine."""
    if behaviour == "real":
        return LocalEngine(platform.objects, platform.settings.home / "work")
    return LocalEngine(platform.objects, platform.settings.home / "work", scripted_command(behaviour))


def scripted_command(behaviour: str) -> tuple[str, ...]:
    """Return the command of a worker that follows a script."""
    return (sys.executable, str(scripted_worker.__file__), behaviour)


async def task_loop(
    platform: Platform,
    engine: Engine,
    *,
    owner: str = "",
    lease: timedelta = timedelta(seconds=30),
    at_once: int = 1,
) -> TaskLoop:
    """Return a loop over the tasks of ``platform``."""
    await platform.store.declare(TASKS, CONSOLE)
    return TaskLoop(
        tasks=Collection(platform.store, TASKS, Task),
        console=ConsoleLog(Collection(platform.store, CONSOLE, ConsoleChunk)),
        objects=platform.objects,
        engine=engine,
        bus=platform.bus("odm-gateway"),
        owner=owner or process_owner(),
        lease=lease,
        at_once=at_once,
    )


async def run_gateway(home: Path, behaviour: str, lease_s: float) -> None:
    """Work on tasks until killed."""
    async with opened_platform(home) as platform:
        loop = await task_loop(
            platform, scripted_engine(platform, behaviour), lease=timedelta(seconds=lease_s)
        )
        relay = OutboxRelay(platform.transport, platform.store, [TASKS.name])
        async with asyncio.TaskGroup() as group:
            for work in (loop.run, loop.tidy, relay.run):
                group.create_task(work())


def run() -> None:
    """Do what the command line says."""
    asyncio.run(run_gateway(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
