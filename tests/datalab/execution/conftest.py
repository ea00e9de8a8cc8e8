"""Execution on embedded backends, an archive, and somebody who hears what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datalab.clock import now_us
from datalab.collections import OPERATIONS, UPLOADS
from datalab.domain.asked import AskedOperation, ShownOperation, State
from datalab.domain.computations import Computation
from datalab.domain.users import Caller
from datalab.execution.collections import COLLECTIONS, COMPUTATIONS
from datalab.execution.opening import SUBSCRIPTIONS, Execution, opened_operations
from datalab.operations.registry import Registry
from shared.events import Event, TaskCompleted
from shared.platform import Platform, open_platform
from shared.service import Service
from shared.service.running import running
from shared.settings import PlatformSettings
from shared.state import Collection
from tests.support.archive import ArchiveSimulator, serving_archive
from tests.support.datalab_operations import REGISTRY
from tests.support.datalab_worker import WorkerSettings
from tests.support.listening import TELLING, heard

ALICE = Caller("alice")
BOB = Caller("bob")
LADDER = (timedelta(milliseconds=50),) * 3


@dataclass(slots=True)
class Lab:
    """The execution as the HTTP interface sees it."""

    platform: Platform
    execution: Execution
    archive: ArchiveSimulator
    service: Service
    _last: int = field(default=0)

    @property
    def computations(self) -> Collection[Computation]:
        """Return the computations."""
        return Collection(self.platform.store, COMPUTATIONS, Computation)

    @property
    def operations(self) -> Collection[AskedOperation]:
        """Return the operations."""
        return Collection(self.platform.store, OPERATIONS, AskedOperation)

    def new(
        self, name: str, data: dict[str, Any], caller: Caller = ALICE, session: int = 1
    ) -> AskedOperation:
        """Return an operation that nobody asked for yet."""
        self._last += 1
        return AskedOperation(
            number=self._last,
            session=session,
            owner=caller.name,
            name=name,
            input_data=data,
            created_us=now_us(),
        )

    async def ask(self, name: str, data: dict[str, Any], caller: Caller = ALICE) -> AskedOperation:
        """Ask for an operation."""
        return await self.execution.operations.ask(self.new(name, data, caller), caller)

    async def shown(self, operation: AskedOperation) -> ShownOperation:
        """Return an operation as its owner sees it."""
        stored = (await self.operations.load(operation.document_id)).body
        (shown,) = await self.execution.operations.shown([stored], base_url="http://lab.test")
        return shown

    async def until(self, operation: AskedOperation, *states: State, within_s: float = 30) -> ShownOperation:
        """Wait until an operation is in one of ``states``."""
        async with asyncio.timeout(within_s):
            while True:
                shown = await self.shown(operation)
                if shown.state in states:
                    return shown
                await asyncio.sleep(0.02)

    async def ended(self, operation: AskedOperation, within_s: float = 30) -> ShownOperation:
        """Wait until an operation has ended, and its document says so."""
        async with asyncio.timeout(within_s):
            while not (await self.operations.load(operation.document_id)).body.state.is_final:
                await asyncio.sleep(0.02)
        return await self.shown(operation)

    async def stored(self, operation: AskedOperation) -> list[bytes]:
        """Return the FITS files that came out of an operation that has ended."""
        outcome = (await self.computations.load(operation.key)).body.outcome
        keys = [output.files["fits"].key for output in outcome.files] if outcome else []
        return [await self.platform.objects.read(key) for key in keys]

    async def told(self, at_least: int = 1) -> list[Event[TaskCompleted]]:
        """Return what was told of ends."""
        return await heard(self.platform, TaskCompleted, at_least=at_least)


def frames(*names: str) -> dict[str, Any]:
    """Return the inputs of an operation on frames of the archive."""
    return {"input_files": [{"source": "archive", "basename": name} for name in names]}


def opened(home: Path, **settings: Any) -> Any:
    """Open backends with queues for what datalab hears and tells."""
    chosen = PlatformSettings(
        **{"home": home, "retry_ladder": LADDER, "allow_private_urls": True, **settings}
    )
    return open_platform(chosen, (*SUBSCRIPTIONS, *TELLING))


@asynccontextmanager
async def running_lab(
    platform: Platform,
    archive: ArchiveSimulator,
    sessions: Any = None,
    registry: Registry = REGISTRY,
    **settings: Any,
) -> AsyncIterator[Lab]:
    """Run the execution until the block ends."""
    given: dict[str, Any] = {
        "archive_url": archive.url,
        "workers": 1,
        "shutdown_grace": timedelta(),
        "lease": timedelta(seconds=5),
        **settings,
    }
    own = WorkerSettings(**given)
    await platform.store.declare(OPERATIONS, UPLOADS, *COLLECTIONS)

    @asynccontextmanager
    async def resources(service: Service) -> AsyncIterator[dict[str, Any]]:
        async with opened_operations(own, platform, service, registry, sessions) as execution:
            yield {"lab": Lab(platform, execution, archive, service)}

    async with running("datalab", resources, own) as (_, state):
        yield state["lab"]


@pytest.fixture
async def archive() -> AsyncIterator[ArchiveSimulator]:
    """Serve an archive with some frames, one of them Alice's alone."""
    archive = ArchiveSimulator(
        users={"alices-token": frozenset({"secret-proposal"}), "bobs-token": frozenset()}
    )
    for number in range(5):
        archive.add(f"frame{number}", bytes([number]) * 100)
    archive.add("hers", b"\x07" * 10, proposal="secret-proposal")
    async with serving_archive(archive):
        yield archive


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Embedded backends in an empty folder."""
    async with opened(tmp_path / "home") as platform:
        yield platform


@pytest.fixture
async def lab(platform: Platform, archive: ArchiveSimulator) -> AsyncIterator[Lab]:
    """Run the execution with one worker."""
    async with running_lab(platform, archive) as lab:
        yield lab
