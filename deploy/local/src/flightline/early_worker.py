"""Starts the engine's worker before the services are imported: both take a second, side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from odm_gateway.adapters.spare_worker import SpareWorker
from odm_gateway.config import EngineKind, Settings
from shared.settings import load


@asynccontextmanager
async def early_worker() -> AsyncIterator[SpareWorker]:
    """Give a spare worker, which runs already if the built-in engine will be used."""
    spare = SpareWorker()
    if load(Settings).engine is EngineKind.LOCAL and find_spec("rasterio"):
        await spare.start()
    try:
        yield spare
    finally:
        await spare.stop()
