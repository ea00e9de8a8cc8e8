"""What a service is while it runs: resources, loops, and the order in which it ends; nothing of HTTP.

Commands that run services for one piece of work need no web framework, which takes half a second to import.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import structlog
from prometheus_client import Gauge

from shared.service.loops import Loop, Supervised
from shared.service.readiness import Check, Health
from shared.settings import ServiceSettings

State = Mapping[str, Any]
"""What routes see as attributes of ``request.state``."""

HAND_BACK = timedelta(seconds=5)
"""Beyond the grace period: for handing back what did not finish, and for the outbox."""

BUILD_INFO = Gauge(
    "flightline_build_info", "1 for each service of the process.", ["service", "version", "python"]
)

log = structlog.get_logger(__name__)


class Service:
    """What a service says of itself while it is put together, and while it runs."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self.token = settings.token
        self.grace: timedelta = settings.shutdown_grace
        self.hand_back = HAND_BACK
        self.draining = asyncio.Event()
        """Set as soon as the service is told to end; streams end themselves when they see it."""
        self.health = Health(name, self.draining)
        self._loops: list[Supervised] = []
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ends_at_s: float | None = None
        self._drains: list[Callable[[], Awaitable[None]]] = []

    def ready_when(self, name: str, check: Check) -> None:
        """Count as ready only while ``check`` returns anything but False and raises nothing."""
        self.health.checks[name] = check

    def background(self, name: str, loop: Loop) -> None:
        """Run ``loop`` from the start of the service to its end; see ``shared.service.loops``."""
        supervised = Supervised(self.name, name, loop)
        self.ready_when(f"loop {name}", supervised.check)
        self._loops.append(supervised)
        if self._group:
            self._start(supervised)

    def on_drain(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Call ``stop`` when the service is told to end, while everything is still open.

        It stops taking work and returns when the work in hand is finished; the first added is called first.
        """
        self._drains.append(stop)

    async def drain(self) -> None:
        """Become unready, stop taking work and finish what is in hand; once, within the grace period."""
        if self.draining.is_set():
            return
        self.draining.set()
        self._ends_at_s = time.monotonic() + self.grace.total_seconds()
        log.info("service.draining", service=self.name, grace_s=self.grace.total_seconds())
        try:
            async with asyncio.timeout((self.grace + self.hand_back).total_seconds()):
                for stop in self._drains:
                    await _stopped(stop)
        except TimeoutError:
            log.warning("service.grace_over", service=self.name, grace_s=self.grace.total_seconds())

    @property
    def grace_left_s(self) -> float:
        """Return how much of the grace period is left to requests under way."""
        if self._ends_at_s is None:
            return self.grace.total_seconds()
        return max(0.0, self._ends_at_s - time.monotonic())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the loops; on leaving, drain and then stop them."""
        async with asyncio.TaskGroup() as self._group:
            for supervised in self._loops:
                self._start(supervised)
            log.info("service.started")
            try:
                yield
                await self.drain()
            finally:
                for task in self._tasks:
                    task.cancel()

    def _start(self, supervised: Supervised) -> None:
        assert self._group
        self._tasks.append(self._group.create_task(supervised.supervise(), name=supervised.name))


Resources = Callable[[Service], AbstractAsyncContextManager[State]]
"""Opens what a service needs, says when it is ready and what runs in the background, and yields what routes
may see. It is closed last, in reverse order."""


@asynccontextmanager
async def running(
    name: str, resources: Resources, settings: ServiceSettings
) -> AsyncIterator[tuple[Service, State]]:
    """Run a service without its HTTP interface.

    Args:
        name: Its name in logs, metrics and queues.
        resources: What it consists of.
        settings: Token and grace period.
    """
    service = Service(name, settings)
    BUILD_INFO.labels(name, version("shared"), platform.python_version()).set(1)
    async with AsyncExitStack() as stack:
        with structlog.contextvars.bound_contextvars(service=name):  # what starts here inherits it
            state = await stack.enter_async_context(resources(service))
            await stack.enter_async_context(service.running())
        yield service, state
    log.info("service.ended", service=name)


async def _stopped(stop: Callable[[], Awaitable[None]]) -> None:
    try:
        await stop()
    except Exception:
        log.exception("service.drain_failed")
