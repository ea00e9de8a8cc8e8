"""Open the constants that settings name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.constants.file import ConstantsFile
from shared.constants.kept import Constants, ConstantsSource
from shared.vault_settings import ConstantsSettings


@asynccontextmanager
async def open_constants(settings: ConstantsSettings) -> AsyncIterator[Constants]:
    """Open the constants that ``FLIGHTLINE_CONSTANTS`` names; nothing is read before it is asked for."""
    constants = Constants(_source(settings), refresh_s=settings.constants_refresh.total_seconds())
    refreshing = asyncio.create_task(constants.run(), name="constants")
    try:
        yield constants
    finally:
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await constants.close()


def _source(settings: ConstantsSettings) -> ConstantsSource | None:
    kind, _, target = (settings.constants or "").partition(":")
    match kind:
        case "file":
            return ConstantsFile(Path(target).expanduser().absolute())
        case "vault":
            from shared.constants.vault import ConstantsVault  # noqa: PLC0415 - hvac takes a while to import

            return ConstantsVault(settings, target)
        case _:
            return None
