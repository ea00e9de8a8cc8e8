"""How far a flight is, told often and never persisted."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.messaging.port import Transport

EVERY_S = 0.2
"""At most five messages a second for one stage of one flight."""


class Progress(BaseModel):
    """How much of a stage is done."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    flight_id: str
    stage: str
    done: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)] = 0
    task_id: str | None = None
    message: str | None = None

    @property
    def is_last(self) -> bool:
        """Return whether nothing is left to do."""
        return self.done >= self.total


class ProgressTeller:
    """Tells progress, thinned out, while ``run`` runs; the last word of a stage is always told."""

    def __init__(self, transport: Transport, service: str) -> None:
        self._transport = transport
        self._service = service
        self._told_at: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], Progress] = {}
        self._holding = asyncio.Event()

    async def tell(self, progress: Progress) -> None:
        """Tell ``progress`` now, or later if nothing newer comes before its turn."""
        key = (progress.flight_id, progress.stage)
        if progress.is_last or time.monotonic() - self._told_at.get(key, 0) >= EVERY_S:
            await self._send(key, progress)
        else:
            self._held[key] = progress
            self._holding.set()

    async def run(self) -> None:
        """Tell what was held back, until cancelled."""
        while True:
            await self._holding.wait()
            await asyncio.sleep(EVERY_S)
            self._holding.clear()
            await self.flush()

    async def flush(self) -> None:
        """Tell at once what was held back."""
        for key, progress in list(self._held.items()):
            await self._send(key, progress)

    async def _send(self, key: tuple[str, str], progress: Progress) -> None:
        self._held.pop(key, None)
        now = time.monotonic()
        self._told_at = {other: at for other, at in self._told_at.items() if now - at < EVERY_S}
        if not progress.is_last:
            self._told_at[key] = now
        body = progress.model_dump_json(exclude_none=True).encode()
        await self._transport.tell(f"{self._service}.{progress.stage}", body)
