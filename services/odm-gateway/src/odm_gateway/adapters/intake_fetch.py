"""Brings an archive from the web, or from the object store, into a file of this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

import aiohttp
import structlog
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from shared.errors import NotFoundError, PermanentError, StorageFullError, TransientError
from shared.objects.port import CHUNK_BYTES, ObjectStore
from shared.outside import checked_url, outside_session, shown_url

Say: TypeAlias = Callable[[str], Awaitable[None]]

REDIRECTS_AT_MOST = 5
TOLD_EVERY_S = 3.0
MEGABYTE = 1_000_000
_MAY_PASS = frozenset({429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

log = structlog.get_logger()


@dataclass(slots=True)
class Target:
    """The file to be filled."""

    path: Path
    at_most_bytes: int
    say: Say
    _written_bytes: int = 0
    _told_at_s: float = field(default=0.0)

    async def fill(self, chunks: AsyncIterator[bytes], size_bytes: int | None) -> None:
        """Write all ``chunks``, telling how far it is.

        Raises:
            PermanentError: It is more than may be written.
            StorageFullError: There is no room for it.
        """
        self._check(size_bytes or 0)
        self._written_bytes = 0
        with _room():
            if size_bytes:
                await asyncio.to_thread(_check_room, self.path.parent, size_bytes)
            file = self.path.open("wb")
        with file:
            async for chunk in chunks:
                self._written_bytes += len(chunk)
                self._check(self._written_bytes)
                with _room():
                    await asyncio.to_thread(file.write, chunk)
                await self._tell(size_bytes)
            with _room():
                file.flush()
        await self._tell(size_bytes, is_last=True)

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


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("intake.disk", error=str(error))
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("There is no room for the archive where this node works.") from error
        raise TransientError(f"The archive cannot be kept where this node works: {error.strerror}") from error


def _check_room(folder: Path, size_bytes: int) -> None:
    if shutil.disk_usage(folder).free < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
    async with outside_session(allow_private=allow_private) as session:
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
        answer = await session.get(checked_url(url), headers=headers, allow_redirects=False)
    except TimeoutError as error:
        raise PermanentError(f"{shown_url(url)} does not answer.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PermanentError(_told(error, url)) from error
    async with answer:
        yield answer


def _next_url(url: str, location: str) -> str:
    try:
        return checked_url(str(URL(url).join(URL(location))))
    except ValueError as error:
        raise PermanentError(f"{shown_url(url)} redirects to what is no URL.") from error


def _check_status(answer: ClientResponse, url: str) -> None:
    if answer.status == HTTPStatus.OK:
        return
    message = f"{shown_url(url)} answers {answer.status} {answer.reason or ''}".rstrip()
    raise TransientError(message) if answer.status in _MAY_PASS else PermanentError(message)


async def _save(answer: ClientResponse, url: str, target: Target) -> None:
    try:
        await target.fill(answer.content.iter_chunked(CHUNK_BYTES), answer.content_length)
    except TimeoutError as error:
        raise TransientError(f"{shown_url(url)} fell silent.") from error
    except aiohttp.ClientError as error:
        raise TransientError(f"{shown_url(url)} broke off: {_told(error, url)}") from error


def _told(error: Exception, url: str) -> str:
    """Return what the network says, without what an address may hold of secrets."""
    return (str(error) or type(error).__name__).replace(url, shown_url(url))
