"""Requests to file servers that others named: retried, bounded, answered with errors of a source."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession
from yarl import URL

from shared.bulk import Bulk, BulkAnswer
from shared.errors import InvalidInputError, PermanentError, TransientError
from shared.sources.http_answers import Answer, check_same, checked, is_strong, meaning, shown
from shared.sources.pace import Pace, paced
from shared.sources.port import Entry, SourceChangedError, changed_if_gone, whole
from shared.streams import Chunk

REDIRECTS_AT_MOST = 5
ATTEMPTS = 4
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
ANSWER_WITHIN_S = 60.0
DOCUMENT_AT_MOST_BYTES = 64 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


A = TypeVar("A", ClientResponse, BulkAnswer)


@dataclass(frozen=True, slots=True)
class Reach:
    """The two ways to the same servers."""

    session: ClientSession
    """For questions and small answers."""
    bulk: Bulk
    """For files."""


@dataclass(frozen=True, slots=True)
class Document:
    """A small answer, whole."""

    url: URL
    """Where it came from, after redirects."""
    body: bytes
    headers: Mapping[str, str]
    status: int


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: URL
    wanted: tuple[int, ...]
    """Statuses."""
    headers: Mapping[str, str]
    data: str | bytes | None


_Send = Callable[[_Request], AbstractAsyncContextManager[A]]


@dataclass(frozen=True, slots=True)
class Http:
    """How servers are reached, what goes along with each request, and how they are repeated."""

    reach: Reach
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    follows: bool = True
    """Whether redirects are followed; never with a login."""
    allow_plain: bool = False
    """Whether redirects may lead to http."""
    pace: Pace = field(default_factory=Pace)

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        url: URL,
        *wanted: int,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Send a request until it is answered with one of the ``wanted`` statuses.

        Raises:
            NotFoundError: 404, 410.
            SourceForbiddenError: 401, 403.
            SourceChangedError: 412, 416: a condition does not hold any more.
            TransientError: Out of reach, busy or broken, after some attempts.
            InvalidInputError: Any other answer, or an address that may not be reached.
        """
        async with AsyncExitStack() as stack:
            request = _Request(method, url, wanted, {**self.headers, **(headers or {})}, data)
            yield await self._persistently(stack, request, self._asked)

    async def document(
        self,
        method: str,
        url: URL,
        *wanted: int,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | None = None,
    ) -> Document:
        """Return a small answer whole."""
        async with self.answer(method, url, *wanted, headers=headers, data=data) as answer:
            body = bytearray()
            async for chunk in self.body(answer):
                body += chunk
                if len(body) > DOCUMENT_AT_MOST_BYTES:
                    raise PermanentError(
                        f"{shown(url)} answers with more than {DOCUMENT_AT_MOST_BYTES} bytes"
                    )
            return Document(answer.url, bytes(body), answer.headers, answer.status)

    def body(self, answer: ClientResponse) -> AsyncIterator[bytes]:
        """Yield a body as it comes.

        Raises:
            TransientError: It broke off, or comes too slowly.
        """
        return paced(answer.content.readany, shown(answer.url), self.pace)

    @asynccontextmanager
    async def file(
        self,
        url: URL,
        offset_bytes: int = 0,
        token: str = "",
        *,
        end_bytes: int | None = None,
        size_bytes: int | None = None,
    ) -> AsyncIterator[tuple[BulkAnswer, AsyncIterator[Chunk]]]:
        """Read a file, or a part of it, if it still has its token: its ETag, or when it was modified.

        A server that knows no ranges sends all of it; what comes before ``offset_bytes`` is passed over.
        Since nobody sends the part behind the last byte, that byte is asked for where reading begins there.
        """
        start = offset_bytes - (offset_bytes > 0 and offset_bytes == size_bytes)
        headers = {"Accept-Encoding": "identity"}
        if offset_bytes or end_bytes is not None:
            last = "" if end_bytes is None else end_bytes - 1
            headers["Range"] = f"bytes={start}-{last}"
        if is_strong(token):
            headers["If-Match"] = token
        async with AsyncExitStack() as stack:
            request = _Request("GET", url, (200, 206), {**self.headers, **headers}, None)
            answer = await self._persistently(stack, request, self._fetched)
            check_same(answer, token, start)
            comes_from = start if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
            body = paced(answer.read, shown(answer.url), self.pace)
            yield answer, _behind(body, offset_bytes - comes_from)

    async def _persistently(self, stack: AsyncExitStack, request: _Request, send: _Send[A]) -> A:
        attempt = 0
        while True:
            try:
                return await self._followed(stack, request, send)
            except TransientError as error:
                wait_s = _wait_s(attempt, error.retry_after)
                if wait_s is None:
                    raise
            await stack.aclose()
            await asyncio.sleep(wait_s)
            attempt += 1

    async def _followed(self, stack: AsyncExitStack, request: _Request, send: _Send[A]) -> A:
        for _ in range(REDIRECTS_AT_MOST + 1):
            answer = await _in_time(stack, request, send(request))
            if answer.status in request.wanted:
                return answer
            if answer.status not in _REDIRECTS or not self.follows:
                raise meaning(answer)
            request = replace(request, url=self._next(request.url, answer))
            await stack.aclose()
        raise InvalidInputError(
            f"{shown(request.url)}: more than {REDIRECTS_AT_MOST} redirects", field="source"
        )

    def _asked(self, request: _Request) -> AbstractAsyncContextManager[ClientResponse]:
        return self.reach.session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.data,
            allow_redirects=False,
            auto_decompress=False,
        )

    def _fetched(self, request: _Request) -> AbstractAsyncContextManager[BulkAnswer]:
        return self.reach.bulk.exchange(request.method, request.url, request.headers)

    def _next(self, url: URL, answer: Answer) -> URL:
        try:
            target = url.join(URL(answer.headers["Location"]))
        except (KeyError, ValueError):
            raise InvalidInputError(f"{shown(url)} redirects to what is no URL", field="source") from None
        return checked(target, allow_plain=self.allow_plain)


@asynccontextmanager
async def listed_file(
    http: Http, url: URL, entry: Entry, offset_bytes: int, *, is_same: Callable[[], Awaitable[bool]]
) -> AsyncIterator[AsyncIterator[Chunk]]:
    """Read a listed file if it still has its ETag.

    Args:
        http: What it is asked with.
        url: Where it is.
        entry: As it was listed.
        offset_bytes: Where reading begins.
        is_same: Looks at the file again, at the end, where no ETag can tell.

    Raises:
        SourceChangedError: It was replaced or removed since it was listed.
    """
    with changed_if_gone(shown(url)):
        async with http.file(url, offset_bytes, entry.token, size_bytes=entry.size_bytes) as (answer, chunks):
            is_sure = is_strong(entry.token) and "ETag" in answer.headers
            yield whole(chunks, entry, offset_bytes)
        if not is_sure and not await is_same():
            raise SourceChangedError(f"{shown(url)} was replaced while it was read")


async def _in_time(stack: AsyncExitStack, request: _Request, asking: AbstractAsyncContextManager[A]) -> A:
    """Return the answer to a request, which stays open as long as ``stack`` does."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await stack.enter_async_context(asking)
    except (ClientError, TimeoutError, OSError) as error:
        raise TransientError(f"{shown(request.url)} is out of reach ({type(error).__name__})") from error


def _wait_s(attempt: int, asked: timedelta | None) -> float | None:
    """Return how long to wait before another attempt; None: there is to be none."""
    if attempt + 1 >= ATTEMPTS:
        return None
    if asked is not None:
        return asked.total_seconds() if asked.total_seconds() <= LONGEST_WAIT_S else None
    return random.uniform(0, FIRST_WAIT_S * 2**attempt)  # noqa: S311 - no secret


async def _behind(chunks: AsyncIterator[Chunk], offset_bytes: int) -> AsyncIterator[Chunk]:
    async for chunk in chunks:
        if offset_bytes < len(chunk):
            yield chunk[offset_bytes:]
        offset_bytes = max(0, offset_bytes - len(chunk))
