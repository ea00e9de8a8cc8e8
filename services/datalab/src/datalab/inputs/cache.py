"""Files that were downloaded once, for all processes of this host that share the folder.

An entry is a file named by the content that it holds, moved into place when it is whole. Who needs it gets a
hard link in a folder of their own, which stays when the entry goes; so nothing has to be known of who reads
what. Entries unused for longest go first. A lock per name lets one process download while others wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import structlog

from shared.errors import StorageFullError, TransientError
from shared.file_lock import lock_now

LOCKS = 256
LOOK_AT_LEAST_S = 0.01
LOOK_AT_MOST_S = 0.5
LEFTOVER_S = 86_400.0
"""After so long what a download left behind is nobody's any more."""
COUNT_EVERY_S = 60.0
"""What other processes put there is counted now and then."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class FileCache:
    """The entries below ``folder``, which take ``at_most_bytes`` together."""

    folder: Path
    at_most_bytes: int
    _taken_bytes: int = -1
    _counted_s: float = field(default=0.0)

    def prepare(self) -> None:
        """Make the folders, and sweep what killed downloads left behind; for a thread."""
        for folder in (self._entries, self._parts, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        ends_s = time.time() - LEFTOVER_S
        for part in self._parts.iterdir():
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < ends_s:
                    part.unlink()

    async def link(self, content: str, to: Path, download: Callable[[Path], Awaitable[None]]) -> None:
        """Make ``to`` the file that ``content`` names, by ``download`` unless it is there already.

        Raises:
            StorageFullError: There is no room for it on the disk, nor anything here to delete.
        """
        entry = self._entries / hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        async with self._locked(entry, to) as is_there:
            if is_there:
                return
            while True:
                try:
                    await self._downloaded(entry, to, download)
                except StorageFullError:
                    if not await self.make_room():
                        raise
                else:
                    return

    async def make_room(self) -> bool:
        """Delete half of what is kept, as the disk is full; return whether there was anything."""
        return await asyncio.to_thread(self._evict, 0.5)

    async def _downloaded(self, entry: Path, to: Path, download: Callable[[Path], Awaitable[None]]) -> None:
        part = self._parts / uuid4().hex
        try:
            await download(part)
            await asyncio.to_thread(self._publish, part, entry, to)
        except OSError as error:
            raise StorageFullError(f"the folder for downloads cannot be written: {error}") from error
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    def _publish(self, part: Path, entry: Path, to: Path) -> None:
        """Move a whole download into place, linked before it can be evicted."""
        _link(part, to)
        size_bytes = part.stat().st_size
        if size_bytes > self.at_most_bytes:
            return
        part.replace(entry)
        now_s = time.monotonic()
        if self._taken_bytes < 0 or now_s - self._counted_s > COUNT_EVERY_S:
            self._taken_bytes, self._counted_s = sum(size for _, size, _ in self._listed()), now_s
        else:
            self._taken_bytes += size_bytes
        if self._taken_bytes > self.at_most_bytes:
            self._evict()

    def _evict(self, share: float = 1.0) -> bool:
        """Delete the entries that were not used for longest, until a tenth of the room is free.

        Args:
            share: Of what they take now, which is not to be exceeded either.
        """
        entries = sorted(self._listed())
        taken = sum(size for _, size, _ in entries)
        room = min(0.9 * self.at_most_bytes, share * taken)
        for _, size, path in entries:
            if taken <= room:
                break
            with suppress(FileNotFoundError):
                path.unlink()
            taken -= size
        self._taken_bytes = taken
        return bool(entries)

    def _listed(self) -> list[tuple[int, int, Path]]:
        found = []
        with os.scandir(self._entries) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    known = entry.stat()
                    found.append((known.st_mtime_ns, known.st_size, Path(entry.path)))
        return found

    @asynccontextmanager
    async def _locked(self, entry: Path, to: Path) -> AsyncIterator[bool]:
        """Yield True once ``to`` is a link to the entry, or False with the lock under which to make one.

        The lock ends with this process, however that ends.
        """
        path = self._locks / f"{int(entry.name[:8], 16) % LOCKS:02x}"
        pause_s = LOOK_AT_LEAST_S
        while not await asyncio.to_thread(_linked, entry, to):
            lock = lock_now(path)
            if lock is not None:
                with lock:  # another may have been faster
                    yield await asyncio.to_thread(_linked, entry, to)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_AT_MOST_S)
        yield True

    @property
    def _entries(self) -> Path:
        return self.folder / "entries"

    @property
    def _parts(self) -> Path:
        return self.folder / "parts"

    @property
    def _locks(self) -> Path:
        return self.folder / "locks"


def _linked(entry: Path, to: Path) -> bool:
    """Link an entry, which counts as used now; return whether there was one."""
    try:
        _link(entry, to)
        os.utime(entry)
    except FileNotFoundError:
        return to.exists()
    return True


def _link(entry: Path, to: Path) -> None:
    try:
        os.link(entry, to)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise
    except OSError as error:  # a file system without links
        log.debug("cache.copied", error=str(error))
        try:
            shutil.copyfile(entry, to)
        except FileNotFoundError:
            raise
        except OSError as full:
            raise TransientError(f"{to.name} cannot be copied: {full}") from full
