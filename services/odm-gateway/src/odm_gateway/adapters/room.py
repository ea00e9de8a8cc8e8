"""Room on disks of this machine: some stays free, because documents and messages lie there, too."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import StorageFullError
from shared.objects.port import ObjectStore

FULL = "There is no space left where this node keeps images; make room there, or try again later."
SPARE_AT_MOST_BYTES = 1 << 30
SPARE_SHARE = 50
"""Of a small disk, one part in so many stays free."""
LOOK_EVERY_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """The room in a folder; None: it lies elsewhere, and whoever keeps it says when it is full."""

    folder: Path | None

    async def check(self, size_bytes: int = 0) -> None:
        """Return if so much more can be stored.

        Raises:
            StorageFullError: There is not enough room.
        """
        if self.folder is None:
            return
        usage = await asyncio.to_thread(shutil.disk_usage, self.folder)
        if usage.free - size_bytes < min(SPARE_AT_MOST_BYTES, usage.total // SPARE_SHARE):
            raise StorageFullError(FULL)

    async def watched(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what is about to be stored, as long as there is room for it.

        Raises:
            StorageFullError: There is none any more.
        """
        left_bytes = 0
        async for chunk in content:
            if (left_bytes := left_bytes - len(chunk)) < 0:
                await self.check(len(chunk))
                left_bytes = LOOK_EVERY_BYTES
            yield chunk


def room_of(objects: ObjectStore) -> Room:
    """Return the room that an object store has, where that is a folder of this machine."""
    where = urlsplit(objects.uri("x"))
    return Room(Path(unquote(where.path)).parent if where.scheme == "file" else None)
