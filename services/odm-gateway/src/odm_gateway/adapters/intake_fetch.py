"""Brings an archive into a file of this machine: from the object store, or as whatever sends it."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

import structlog

from odm_gateway.adapters.room import Room
from odm_gateway.domain.pace import Pace
from shared.errors import NotFoundError, PermanentError, StorageFullError, TransientError
from shared.objects.port import ObjectStore

Say: TypeAlias = Callable[[str], Awaitable[None]]

TOLD_EVERY_S = 3.0
SLOWEST_BYTES_PER_S = 10_000
SLOW_FOR_AT_MOST_S = 60.0
MEGABYTE = 1_000_000

log = structlog.get_logger()


@dataclass(slots=True)
class Target:
    """The file to be filled."""

    file: BinaryIO
    room: Room
    at_most_bytes: int
    say: Say
    pace: Pace = field(default_factory=lambda: Pace(SLOWEST_BYTES_PER_S, SLOW_FOR_AT_MOST_S))
    _written_bytes: int = 0
    _told_at_s: float = field(default=0.0)

    async def fill(self, chunks: AsyncIterator[bytes], size_bytes: int | None) -> None:
        """Write all ``chunks``, telling how far it is.

        Raises:
            PermanentError: It is more than may be written.
            StorageFullError: There is no room for it.
            TransientError: They come too slowly.
        """
        self._check(size_bytes or 0)
        with disk_faults():
            await self.room.check(size_bytes or 0)
            async for chunk in self.room.watched(self._timely(chunks)):
                self._written_bytes += len(chunk)
                self._check(self._written_bytes)
                await asyncio.to_thread(self.file.write, chunk)
                await self._tell(size_bytes)
            await asyncio.to_thread(self.file.flush)
        await self._tell(size_bytes, is_last=True)

    async def _timely(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        before_s = time.monotonic()
        async for chunk in chunks:
            self.pace.add(time.monotonic() - before_s, len(chunk))
            if self.pace.is_too_slow:
                raise TransientError(f"The archive arrives at less than {self.pace.slowest_bytes_per_s} B/s.")
            yield chunk
            before_s = time.monotonic()

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self.at_most_bytes:
            raise PermanentError(
                f"The archive has more than {self.at_most_bytes} bytes, the most that this node takes."
            )

    async def _tell(self, size_bytes: int | None, *, is_last: bool = False) -> None:
        now_s = asyncio.get_running_loop().time()
        if not is_last and now_s - self._told_at_s < TOLD_EVERY_S:
            return
        self._told_at_s = now_s
        total = f" of {size_bytes / MEGABYTE:.1f}" if size_bytes else ""
        await self.say(f"Fetching archive: {self._written_bytes / MEGABYTE:.1f}{total} MB")


def work_file(folder: Path) -> BinaryIO:
    """Return a new file without a name: however its process ends, it leaves nothing behind.

    Raises:
        TransientError: There can be none now.
    """
    with disk_faults():
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)


@contextmanager
def disk_faults() -> Iterator[None]:
    """Say what is wrong with the disk where archives lie while they are unpacked."""
    try:
        yield
    except OSError as error:
        log.warning("intake.disk", error=str(error))
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("There is no room for the archive where this node works.") from error
        raise TransientError(f"The archive cannot be kept where this node works: {error.strerror}") from error


async def fetch_stored(objects: ObjectStore, key: str, target: Target) -> None:
    """Fetch an archive from the object store.

    Raises:
        PermanentError: It is not there, or too large.
    """
    stored = await objects.stat(key)
    if stored is None:
        raise PermanentError(f"There is no archive at {objects.uri(key)}.")
    try:
        async with objects.open(key) as chunks:
            await target.fill(chunks, stored.size_bytes)
    except NotFoundError as error:
        raise PermanentError(f"There is no archive at {objects.uri(key)} any more.") from error
