"""What was taken away is deleted, with all that hangs on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from datalab.domain.asked import AskedOperation
from datalab.ports import Operations
from datalab.sessions import Sessions
from shared.errors import TransientError
from shared.state import RevisionError

LOOK_EVERY_S = 30.0
"""Another process may have been told to take a session away, or have died over it."""
AT_ONCE = 8


class SessionRuns(Protocol):
    """Whoever keeps runs of recipes."""

    async def forget(self, session: int) -> None:
        """Delete the runs of a session."""


@dataclass(frozen=True, slots=True)
class Removals:
    """Deletes operations, and what is left of sessions."""

    sessions: Sessions
    operations: Operations
    runs: SessionRuns

    async def forget(self, found: Sequence[AskedOperation]) -> None:
        """Delete operations."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def forget(operation: AskedOperation) -> None:
            async with slots:
                await self.operations.forget(operation)

        await asyncio.gather(*map(forget, found))

    async def run(self) -> None:
        """Finish what was taken away, for ever."""
        while True:
            self.sessions.removed.clear()
            with suppress(TransientError):
                await self.finish()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.sessions.removed.wait()

    async def finish(self) -> None:
        """Delete the sessions that were taken away, and their runs and operations first."""
        async for document in self.sessions.documents.each({"removing": True}):
            await self.runs.forget(document.body.number)
            await self.forget(await self.sessions.operations_of([document.body.number]))
            with suppress(RevisionError):  # another process was faster
                await self.sessions.documents.delete(document)
