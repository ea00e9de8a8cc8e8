"""Brings an archive from the web, or from the object store, into a file of this machine."""

from __future__ import annotations

import asyncio
import errno
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, TypeAlias

import aiohttp
import structlog
from aiohttp import ClientResponse, ClientResponseError, ClientSession
from yarl import URL

from odm_gateway.adapters.room import Room
from odm_gateway.domain.pace import Pace
from shared.errors import NotFoundError, PermanentError, StorageFullError, TransientError
from shared.objects.port import CHUNK_BYTES, ObjectStore
from shared.outside import checked_url, outside_session, shown_url

Say: TypeAlias = Callable[[str], Awaitable[None]]

REDIRECTS_AT_MOST = 5
TOLD_EVERY_S = 3.0
ANSWER_WITHIN_S = 180.0
"""From the connection to the last of the headers."""
FETCH_AT_MOST_S = 86_400.0
SLOWEST_BYTES_PER_S = 10_000
SLOW_FOR_AT_MOST_S = 60.0
MEGABYTE = 1_000_000
REASON_CHARACTERS = 100
_MAY_PASS = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URL = re.compile(r"https?://[^\s'\"<>]+", re.IGNORECASE)

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
    except (aiohttp.ClientError, TimeoutError):  # some are errors of the system, too, but not of the disk
        raise
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


async def fetch_web(url: str, target: Target, *, allow_private: bool) -> None:
    """Fetch an archive from the web, following redirects to places that were checked.

    Raises:
        PermanentError: It cannot be had; a message of the network is told as it is.
        TransientError: The server is busy, or the connection broke in the middle.
    """
    try:
        async with (
            asyncio.timeout(FETCH_AT_MOST_S),
            outside_session(allow_private=allow_private) as session,
        ):
            await _follow(session, url, target)
    except TimeoutError as error:
        raise PermanentError(f"{shown_url(url)} does not come to an end.") from error


async def _follow(session: ClientSession, url: str, target: Target) -> None:
    for _ in range(REDIRECTS_AT_MOST + 1):
        async with _answer(session, url) as answer:
            if answer.status in _REDIRECTS and "Location" in answer.headers:
                url = _next_url(url, answer.headers["Location"])
                continue
            _check_status(answer, url)
            return await _save(answer, url, target)
    raise PermanentError(f"{shown_url(url)}: more than {REDIRECTS_AT_MOST} redirects")


@asynccontextmanager
async def _answer(session: ClientSession, url: str) -> AsyncIterator[ClientResponse]:
    headers = {"Accept-Encoding": "identity"}
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await session.get(
                checked_url(url), headers=headers, allow_redirects=False, auto_decompress=False
            )
    except TimeoutError as error:
        raise PermanentError(f"{shown_url(url)} does not answer.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PermanentError(f"{shown_url(url)}: {_told(error)}") from error
    async with answer:
        yield answer


def _next_url(url: str, location: str) -> str:
    try:
        return checked_url(str(URL(url).join(URL(location))))
    except ValueError as error:
        raise PermanentError(f"{shown_url(url)} redirects to what is no URL.") from error


def _check_status(answer: ClientResponse, url: str) -> None:
    if answer.status == HTTPStatus.OK:
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise PermanentError(f"{shown_url(url)} sends what is packed once more; it must not.")
        return
    message = f"{shown_url(url)} answers {answer.status} {(answer.reason or '')[:REASON_CHARACTERS]}".rstrip()
    raise TransientError(message) if answer.status in _MAY_PASS else PermanentError(message)


async def _save(answer: ClientResponse, url: str, target: Target) -> None:
    try:
        await target.fill(answer.content.iter_chunked(CHUNK_BYTES), answer.content_length)
    except TimeoutError as error:
        raise TransientError(f"{shown_url(url)} fell silent.") from error
    except aiohttp.ClientError as error:
        raise TransientError(f"{shown_url(url)} broke off: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return what the network says, without what an address may hold of secrets."""
    said = error.message if isinstance(error, ClientResponseError) else str(error)
    return _URL.sub(lambda found: shown_url(found[0]), said) or type(error).__name__
