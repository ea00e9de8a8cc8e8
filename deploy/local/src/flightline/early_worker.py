"""The engine's worker, started before the command is imported: both take a second, side by side."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.config import EngineKind, Settings
from shared.settings import load


@asynccontextmanager
async def early_worker(started: subprocess.Popen[bytes] | None) -> AsyncIterator[SpareWorker]:
    """Give a spare worker: the process that was ``started``, unless another engine will be used."""
    spare = SpareWorker()
    if started:
        await spare.adopt(started)
    try:
        if load(Settings).engine is not EngineKind.LOCAL:
            await spare.stop()
        yield spare
    finally:
        await spare.stop()
