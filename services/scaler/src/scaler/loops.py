"""What scaler does by itself, beside its work."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from shared.errors import TransientError
from shared.state import Collection

FORGET_EVERY_S = 600.0

log = structlog.get_logger(__name__)


async def forget_expired(*collections: Collection[Any]) -> None:
    """Delete documents whose time is over, for ever."""
    while True:
        for collection in collections:
            try:
                await collection.store.purge_expired(collection.spec.name, datetime.now(UTC))
            except TransientError as error:
                log.warning("state.unavailable", error=str(error))
        await asyncio.sleep(FORGET_EVERY_S)
